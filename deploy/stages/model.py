"""The model: fetched once to the controller, checked there, brought to every target that serves it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pyinfra import host
from pyinfra.api import operation

from deploy.build.artifact import Build
from deploy.controller.progress import Say
from deploy.cpu import Cpu
from deploy.errors import BoardllamaError, NotThere
from deploy.hosts.carriage import carriage_of, way_of
from deploy.hosts.facts import BoardInfo
from deploy.hosts.remote import Commands, HostStep, Remote, refuse
from deploy.hosts.run_record import record_of
from deploy.hosts.snapshot import first_snapshot
from deploy.hosts.stage_decorator import stage
from deploy.hosts.store import BigFile, big_files
from deploy.hosts.stored_model import StoredModel
from deploy.hosts.target import board_of
from deploy.models.catalogue.choice import AUTO, free_chat_models, suits_board
from deploy.models.catalogue.entries import FREE
from deploy.models.gguf import architectures
from deploy.models.gguf.header import read_model_header
from deploy.models.gguf.info import gguf_info_of
from deploy.models.memory.estimate import CACHE_BLOCK
from deploy.models.memory.fit import BoardMemory, require_room
from deploy.models.model import FileKind, Model
from deploy.onboard.service import CHAT, Service
from deploy.paths import typed
from deploy.settings import Settings, models_of
from deploy.stages.fitting import fit_services, memory_for, read_at_once, serving_of


@stage("Model")
def install_model(settings: Settings, build: Build | None) -> None:
    """Brings the model of the settings. Settings without a model leave the target's models folder as it is."""
    if build is None or (settings.model is None and not settings.models):
        return
    fetch_models(name="Fetch the model to the controller", settings=settings, cpu=build.cpu)
    store_models(name="Bring the model", settings=settings, cpu=build.cpu)
    if way_of(settings):
        end_sharing(name="End what brought the model", settings=settings)


def model_of(settings: Settings, service: Service) -> StoredModel | None:
    """The service's model on the target; None for settings without a model."""
    return StoredModel(settings.chosen, service) if settings.chosen else None


def are_here(settings: Settings) -> bool:
    """True when no network is needed to have the models on the controller."""
    return all(model.is_here for model in models_of(settings).values())


def settings_by_model(settings: Settings) -> list[tuple[Settings, Model]]:
    """Each model that is served here, behind the settings of its server: `hosted` validates them anew at each call."""
    return [(own, own.chosen) for own in settings.hosted.values() if own.chosen]


def choose_model(settings: Settings, cpu: Cpu | None) -> Settings:
    """The settings with the model that suits the host's board best, where they leave that to us (AUTO).

    They stay as they are when no model fits, or how much memory the board has is not known.
    """
    if not settings.is_auto or cpu is None:
        return settings
    memory = BoardMemory.of_unit(board_of(host).memory or 0)
    for model in reversed(free_chat_models()):
        told = settings.with_model(model.name)
        if suits_board(model, serving_of(told, cpu), memory):
            host.log(
                f"model auto: {model.name}, the best in the catalogue for {memory.total // 1_000_000} MB of memory"
            )
            record_of(host).model, record_of(host).model_choice = model.name, AUTO
            return told
    return settings


def require_choice(settings: Settings, board: BoardInfo) -> None:
    """Raises BoardllamaError where `choose_model` found no model."""
    if settings.is_auto:
        seen = f"none fits {board.memory // 1_000_000} MB" if board.memory else "this board's memory is not known"
        raise BoardllamaError(f"model is auto: {seen}; name a model that {typed('models')} lists, or another")


def judge_model(settings: Settings, model: Model) -> None:
    """Raises BoardllamaError for a model on the controller that our llama-server would not serve in its role, for a
    part of a model, for companions that are none, and for a chat with a context_size beyond what the model was trained
    for.
    """
    check_weights(settings, [file.origin.path for file in model.files_of(FileKind.WEIGHTS)])
    for file in model.files:
        if file.kind is not FileKind.WEIGHTS:
            architectures.check_companion(file.kind, read_model_header(file.origin.path), file.name)


def check_weights(settings: Settings, paths: list[Path]) -> None:
    """As `judge_model`, for the weights alone."""
    headers, labels = [read_model_header(path) for path in paths], [path.name for path in paths]
    pin = settings.source.pin
    architectures.check_architecture(headers[0], labels[0], settings.served_role, pin, len(paths))
    architectures.check_parts(headers, labels, pin)
    info = gguf_info_of(headers[0], paths[0])
    if settings.served_role == CHAT and settings.context_tokens > info.context_length:
        raise BoardllamaError(
            f"context_size is {settings.context_tokens}: {labels[0]} was trained for {info.context_length} tokens at "
            f"most; set context_size to {info.context_length} or less (0: the model's own)"
        )
    if settings.kv_cache != "f16" and info.hyperparameters.key_length % CACHE_BLOCK:
        raise BoardllamaError(
            f"kv_cache is {settings.kv_cache}: it keeps {CACHE_BLOCK} numbers together, and {labels[0]} has heads of "
            f"{info.hyperparameters.key_length} numbers; set kv_cache to f16"
        )


@operation()
def fetch_models(settings: Settings, cpu: Cpu) -> Commands:
    """No change when the controller has the models. Several targets fetch them once: the others wait for the first."""
    try:
        require_choice(settings, board_of(host))
        for own, model in settings_by_model(settings):
            if model.is_here:
                judge_model(own, model)
            else:
                check_before_fetch(own, model, cpu, board_of(host))
    except (BoardllamaError, OSError) as error:
        yield refuse(str(error))
        return
    if not are_here(settings):
        yield HostStep(partial(fetch_and_check, settings=settings))


def check_before_fetch(settings: Settings, model: Model, cpu: Cpu, board: BoardInfo) -> None:
    """Raises BoardllamaError for a model that would not fit the board, as far as this is known without its header."""
    if model.outline and board.memory:
        info = model.outline.info_of_size(model.weights_size)
        serving = serving_of(settings.model_copy(update=read_at_once(settings.served_role, info, settings)), cpu)
        require_room(info, model.name, serving, memory_for(model, serving, board))


def fetch_and_check(remote: Remote, settings: Settings) -> None:
    """Fetches the models, with progress as lines of the host, and checks them. Raises BoardllamaError, OSError."""
    for own, model in settings_by_model(settings):
        say_licence(model, remote.say)
        for file in model.files:
            file.origin.fetch_file(remote.say)
        judge_model(own, model)


def say_licence(model: Model, say: Say) -> None:
    """Says under which licence a model is that is about to be fetched, unless it may be used for anything."""
    if model.licence not in ("", *FREE) and not model.is_here:
        say(f"{model.name} is under the licence {model.licence}: to use it is to accept it, see {model.page}")


@operation()
def store_models(settings: Settings, cpu: Cpu) -> Commands:
    """Brings the models to the target's models folder; models that do not fit the board's memory stay here."""
    if not are_here(settings):
        host.noop("not fetched yet")
        yield refuse(NotThere("the model is not on the controller"))
        return
    try:
        files = list(models_to_bring(settings, cpu, board_of(host)))
    except (BoardllamaError, OSError) as error:
        yield refuse(str(error))
        return
    yield from big_files._inner(tuple(files), carriage_of(settings))


@operation()
def end_sharing(settings: Settings) -> Commands:
    """Ends what the way of the models left running. pyinfra comes here when all hosts have their models.

    Such ways end by themselves, too, on a host that never comes here.
    """
    way, files = way_of(settings), [file for model in stored_models(settings) for file in model.files]
    if way and not all(file.is_at(first_snapshot(host).stored.get(file.dest)) for file in files):
        yield HostStep(way.end_fetching)
    else:
        host.noop("the models were there already")


def models_to_bring(settings: Settings, cpu: Cpu, board: BoardInfo) -> Iterator[BigFile]:
    """The files of all models. Raises BoardllamaError when a model does not fit the board; OSError."""
    fit_services(settings.hosted, cpu, board)
    for model in stored_models(settings):
        yield from model.files


def stored_models(settings: Settings) -> list[StoredModel]:
    """The models of all services, on the target."""
    return [StoredModel(model, service) for service, model in models_of(settings).items()]
