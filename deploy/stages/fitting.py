"""Whether the models of a host fit the memory of its board, and the settings with which they do."""

from dataclasses import dataclass, replace

from deploy.cpu import Cpu
from deploy.hosts.facts import BoardInfo
from deploy.models.gguf.info import GgufInfo
from deploy.models.gguf.model_headers import companion_bytes, read_weights_info
from deploy.models.memory.estimate import MIB, Serving, can_repack, estimate_memory
from deploy.models.memory.fit import MEMORY_SHARE, BoardMemory, MemoryFit, judge_fit
from deploy.models.memory.fit_together import Part, judge_together
from deploy.models.model import Model
from deploy.onboard.server.bounds import UBATCH
from deploy.onboard.service import CHAT, Service
from deploy.settings import Settings


@dataclass(frozen=True)
class Fitted:
    """A service as it fits the board: its settings, MemoryMax of its unit, and what a user must be told, or ""."""

    settings: Settings
    memory_max: str = f"{MEMORY_SHARE}%"
    said: str = ""


def fit_services(hosted: dict[Service, Settings], cpu: Cpu, board: BoardInfo) -> dict[Service, Fitted]:
    """The services with the settings with which their models fit the board's memory, together.

    Raises BoardllamaError when they do not fit. Models that the operator brings, or that are not on the controller yet,
    are taken to fit.
    """
    models = {service: own.chosen for service, own in hosted.items()}
    if not all(model and model.is_here for model in models.values()):
        return {service: Fitted(own) for service, own in hosted.items()}
    found = {service: fitting_part(hosted[service], model, cpu) for service, model in models.items() if model}
    fits = zip(found.items(), judge_parts([part for _, part in found.values()], board), strict=True)
    return {service: fitted_service(own, part, fit, alone=len(found) == 1) for (service, (own, part)), fit in fits}


def fitting_part(settings: Settings, model: Model, cpu: Cpu) -> tuple[Settings, Part]:
    """The settings of a model before the memory is known, and what it is for those who count."""
    info = read_weights_info(model)
    fitting = settings.model_copy(update=read_at_once(settings.served_role, info, settings))
    serving = serving_of(fitting, cpu)
    return fitting, Part(model.name, info, serving, companion_bytes(model, serving))


def judge_parts(parts: list[Part], board: BoardInfo) -> list[MemoryFit]:
    """How the models fit the board; where its memory is not known, they do. Raises BoardllamaError."""
    if not board.memory:
        return [MemoryFit(estimate_memory(part.info, part.serving)) for part in parts]
    memory = BoardMemory.of_unit(board.memory)
    if len(parts) > 1:
        return judge_together(parts, memory)
    return [
        judge_fit(part.info, part.name, part.serving, replace(memory, companions=part.companions)) for part in parts
    ]


def fitted_service(settings: Settings, part: Part, fit: MemoryFit, alone: bool) -> Fitted:
    """A service whose model fits. Beside others it may have what it needs, and a quarter more."""
    own = settings.model_copy(update={"repack": settings.repack and not fit.no_repack})
    limit = f"{MEMORY_SHARE}%" if alone else f"{(fit.estimate.total + part.companions) * 5 // 4 // MIB}M"
    return Fitted(own, limit, fit.said)


def serving_of(settings: Settings, cpu: Cpu) -> Serving:
    """How the model is served."""
    return Serving(
        context_size=settings.context_tokens,
        repack=settings.repack and can_repack(cpu),
        batch_size=settings.batch_size,
        at_once=UBATCH if settings.served_role == CHAT else settings.batch_size,
        whole=settings.served_role != CHAT,
        parallel=settings.parallel,
        checkpoints=settings.checkpoints,
        kv_cache=settings.kv_cache,
        prompt_cache=settings.prompt_cache,
        speculative=settings.speculative,
    )


def read_at_once(role: str, info: GgufInfo, settings: Settings) -> dict[str, int]:
    """The settings of a model that reads a text at once, for vectors or scores: as much as it was trained for."""
    if role == CHAT:
        return {}
    context = min(settings.context_tokens or info.context_length, info.context_length)
    return {"context_size": context, "batch_size": context}


def memory_for(model: Model, serving: Serving, board: BoardInfo) -> BoardMemory:
    """The memory that the board has for the model's weights, and what serving them takes."""
    return replace(BoardMemory.of_unit(board.memory or 0), companions=companion_bytes(model, serving))
