"""The model: fetched once to the controller, checked there, brought to every target that serves it."""

import os
from functools import partial
from pathlib import Path

from pyinfra import host
from pyinfra.api import operation

from deploy.build.artifact import Build
from deploy.controller.files import sha256_of
from deploy.controller.progress import say_line
from deploy.cpu import Cpu
from deploy.errors import BoardllamaError, NotThere, shown
from deploy.hosts.facts import BoardInfo
from deploy.hosts.release import stored_model
from deploy.hosts.remote import Commands, HostStep, Remote, refuse
from deploy.hosts.stage_decorator import stage
from deploy.hosts.store import BigFile, big_files
from deploy.hosts.target import board_of
from deploy.models import architectures, fit, smoke
from deploy.models.fit import BoardMemory
from deploy.models.gguf_header import read_model_header
from deploy.models.gguf_info import gguf_info_of, read_gguf_info
from deploy.models.memory import Serving, can_repack
from deploy.models.receipt import has_receipt
from deploy.onboard.service import SERVICES, Service
from deploy.paths import cache_dir, user_path
from deploy.settings import ModelKind, Settings

# Per cent of a board's memory that the unit may have (MemoryMax); shares, so that one image fits every size.
MEMORY_SHARE = 85


@stage("Model")
def install_model(settings: Settings, build: Build | None) -> None:
    """Brings the model of the settings. Settings without a model leave the target's models folder as it is."""
    if settings.model is None or build is None:
        return
    fetch_model(name="Fetch the model to the controller", settings=settings)
    store_model(name="Bring the model", settings=settings, cpu=build.cpu)


def local_file(settings: Settings, remote: Remote | None = None) -> Path:
    """The model on the controller; fetched, with progress through `remote`, when it is not there yet."""
    if settings.model is ModelKind.PATH:
        return own_file(settings.model_path)
    if settings.model is ModelKind.SMOKE:
        return smoke.smoke_model()
    assert settings.hub_model
    from deploy.models import hub  # its HTTP client takes a quarter of a second, and few runs fetch

    return hub.fetch_hub_model(settings.hub_model, progress=remote.say if remote else say_line)


def own_file(text: str) -> Path:
    """The file that model_path names. Raises BoardllamaError for a path without a plain file; OSError."""
    path = user_path("model_path", text)
    if not path.is_file():
        raise BoardllamaError(f"model_path is {shown(text)}: must be a .gguf file on this computer that is there")
    return path


def model_file(settings: Settings) -> Path | None:
    """The model on the controller, or where it is to be; None without a model. Raises OSError when one is not there."""
    if settings.model is None:
        return None
    return settings.hub_model.path if settings.hub_model else local_file(settings)


def model_of(settings: Settings, service: Service) -> BigFile | None:
    """The model, its hash and its place on the target; None for settings without a model.

    Raises OSError when the model's file is not on the controller.
    """
    path, pin = model_file(settings), settings.hub_model
    if path is None:
        return None
    assert settings.model_name
    sha256, size = (pin.sha256, pin.size) if pin else (sha256_once(path), path.stat().st_size)
    return stored_model(service, path, settings.model_name, sha256, size)


def is_here(settings: Settings) -> bool:
    """True when no network is needed to have the model on the controller."""
    pin = settings.hub_model
    return pin is None or has_receipt(pin.path, pin.sha256, pin.size)


def sha256_once(path: Path) -> str:
    """The file's SHA-256 in hexadecimal digits. The file is read only when it has changed since it was last hashed."""
    stat = path.stat()
    identity = f"{stat.st_dev}-{stat.st_ino}-{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ctime_ns}"
    known = cache_dir() / "sha256" / identity
    if not known.exists():
        known.parent.mkdir(parents=True, exist_ok=True)
        new = known.with_suffix(f".{os.getpid()}")
        new.write_text(sha256_of(path))
        new.replace(known)
    return known.read_text()


def fit_settings(settings: Settings, cpu: Cpu, board: BoardInfo) -> tuple[Settings, str]:
    """The settings with which the model fits the board's memory, and what a user must be told about it.

    Raises BoardllamaError when the model does not fit. A model that the operator brings, or that is not on the
    controller yet, is taken to fit.
    """
    file = model_file(settings)
    if file is None or not board.memory or not file.exists():
        return settings, ""
    repack = settings.repack and can_repack(cpu)
    serving = Serving(context_size=settings.context_size, repack=repack, batch_size=settings.batch_size)
    memory = BoardMemory(total=board.memory, maximum=board.memory * MEMORY_SHARE // 100)
    verdict = fit.judge_fit(read_gguf_info(file), settings.model_name or file.name, serving, memory)
    return settings.model_copy(update={"repack": settings.repack and not verdict.no_repack}), verdict.said


def check_model_file(settings: Settings, path: Path) -> None:
    """Raises BoardllamaError for a model that our llama-server would not chat with, for a part of a model, and for a
    context_size beyond what the model was trained for.
    """
    header = read_model_header(path)
    architectures.check_architecture(header, path.name, pin=settings.source.pin)
    info = gguf_info_of(header, path)
    if settings.context_size > info.context_length:
        raise BoardllamaError(
            f"context_size is {settings.context_size}: {path.name} was trained for {info.context_length} tokens at "
            f"most; set context_size to {info.context_length} or less (0: the model's own)"
        )


@operation()
def fetch_model(settings: Settings) -> Commands:
    """No change when the controller has the model. Several targets fetch it once: the others wait for the first."""
    if not is_here(settings):
        yield HostStep(partial(fetch_and_check, settings=settings))
        return
    try:
        check_model_file(settings, local_file(settings))
    except (BoardllamaError, OSError) as error:
        yield refuse(str(error))


def fetch_and_check(remote: Remote, settings: Settings) -> None:
    """Fetches the model, with its progress as lines of the host, and checks it. Raises BoardllamaError, OSError."""
    check_model_file(settings, local_file(settings, remote))


@operation()
def store_model(settings: Settings, cpu: Cpu) -> Commands:
    """Brings the model to the target's models folder; a model that does not fit the board's memory stays here."""
    if not is_here(settings):
        host.noop("not fetched yet")
        yield refuse(NotThere("the model is not on the controller"))
        return
    try:
        fit_settings(settings, cpu, board_of(host))
        models = [model for service in SERVICES if (model := model_of(settings, service))]
    except (BoardllamaError, OSError) as error:
        yield refuse(str(error))
        return
    yield from big_files._inner(tuple(models))
