"""The model: fetched once to the controller, checked there, brought to every target that serves it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pyinfra import host
from pyinfra.api import operation

from deploy.build.artifact import Build
from deploy.cpu import Cpu
from deploy.errors import BoardllamaError, NotThere
from deploy.hosts.facts import BoardInfo
from deploy.hosts.remote import Commands, HostStep, Remote, refuse
from deploy.hosts.stage_decorator import stage
from deploy.hosts.store import BigFile, big_files
from deploy.hosts.stored_model import StoredModel
from deploy.hosts.target import board_of
from deploy.models import architectures, fit
from deploy.models.fit import BoardMemory
from deploy.models.gguf_header import read_model_header
from deploy.models.gguf_info import GgufInfo, gguf_info_of, read_gguf_info
from deploy.models.memory import Serving, can_repack
from deploy.models.model import Model
from deploy.onboard.server.bounds import UBATCH
from deploy.onboard.service import CHAT, Service
from deploy.settings import Settings, models_of

# Per cent of a board's memory that the unit may have (MemoryMax); shares, so that one image fits every size.
MEMORY_SHARE = 85


@stage("Model")
def install_model(settings: Settings, build: Build | None) -> None:
    """Brings the model of the settings. Settings without a model leave the target's models folder as it is."""
    if settings.model is None or build is None:
        return
    fetch_models(name="Fetch the model to the controller", settings=settings)
    store_models(name="Bring the model", settings=settings, cpu=build.cpu)


def model_of(settings: Settings, service: Service) -> StoredModel | None:
    """The service's model on the target; None for settings without a model."""
    model = settings.model_for(service)
    return StoredModel(model, service) if model else None


def are_here(settings: Settings) -> bool:
    """True when no network is needed to have the models on the controller."""
    return all(model.is_here for model in models_of(settings).values())


def fit_settings(settings: Settings, service: Service, cpu: Cpu, board: BoardInfo) -> tuple[Settings, str]:
    """The settings with which the service's model fits the board's memory, and what a user must be told about it.

    Raises BoardllamaError when the model does not fit. A model that the operator brings, or that is not on the
    controller yet, is taken to fit.
    """
    model = settings.model_for(service)
    if model is None or not board.memory or not model.is_here:
        return settings, ""
    info = read_gguf_info(model.main_file.origin.path)
    fitting = settings.model_copy(update=read_at_once(service.role, info, settings))
    memory = BoardMemory(total=board.memory, maximum=board.memory * MEMORY_SHARE // 100)
    verdict = fit.judge_fit(info, model.name, serving_of(fitting, service.role, cpu), memory)
    return fitting.model_copy(update={"repack": settings.repack and not verdict.no_repack}), verdict.said


def read_at_once(role: str, info: GgufInfo, settings: Settings) -> dict[str, int]:
    """The settings of a model that reads a text at once, for vectors or scores: as much as it was trained for."""
    if role == CHAT:
        return {}
    context = min(settings.context_size or info.context_length, info.context_length)
    return {"context_size": context, "batch_size": context}


def serving_of(settings: Settings, role: str, cpu: Cpu) -> Serving:
    """How a model is served, with settings that fit it."""
    return Serving(
        context_size=settings.context_size,
        repack=settings.repack and can_repack(cpu),
        batch_size=settings.batch_size,
        at_once=UBATCH if role == CHAT else settings.batch_size,
    )


def check_model(settings: Settings, model: Model) -> None:
    """Raises BoardllamaError for a model on the controller that our llama-server would not serve in its role, for a
    part of a model, and for a chat with a context_size beyond what the model was trained for.
    """
    check_model_file(settings, model.main_file.origin.path)


def check_model_file(settings: Settings, path: Path) -> None:
    """As `check_model`, for a model that is one file."""
    header = read_model_header(path)
    architectures.check_architecture(header, path.name, settings.role, pin=settings.source.pin)
    info = gguf_info_of(header, path)
    if settings.role == CHAT and settings.context_size > info.context_length:
        raise BoardllamaError(
            f"context_size is {settings.context_size}: {path.name} was trained for {info.context_length} tokens at "
            f"most; set context_size to {info.context_length} or less (0: the model's own)"
        )


@operation()
def fetch_models(settings: Settings) -> Commands:
    """No change when the controller has the models. Several targets fetch them once: the others wait for the first."""
    if not are_here(settings):
        yield HostStep(partial(fetch_and_check, settings=settings))
        return
    try:
        for service, model in models_of(settings).items():
            check_model(settings.hosted[service], model)
    except (BoardllamaError, OSError) as error:
        yield refuse(str(error))


def fetch_and_check(remote: Remote, settings: Settings) -> None:
    """Fetches the models, with progress as lines of the host, and checks them. Raises BoardllamaError, OSError."""
    for service, model in models_of(settings).items():
        for file in model.files:
            file.origin.fetch_file(remote.say)
        check_model(settings.hosted[service], model)


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
    yield from big_files._inner(tuple(files))


def models_to_bring(settings: Settings, cpu: Cpu, board: BoardInfo) -> Iterator[BigFile]:
    """The files of all models. Raises BoardllamaError when a model does not fit the board; OSError."""
    for service, model in models_of(settings).items():
        fit_settings(settings.hosted[service], service, cpu, board)
        yield from StoredModel(model, service).files
