"""Whether several models fit a board's memory together, each counted as if it worked, on demand or not."""

from dataclasses import dataclass, replace

from deploy.errors import BoardllamaError
from deploy.models.gguf.info import GgufInfo
from deploy.models.memory.estimate import Serving, estimate_memory
from deploy.models.memory.fit import BoardMemory, MemoryFit, to_mb

# What the brokers take together, in bytes (MemoryMax of each in deploy/stages/service.py).
BROKER_BYTES = 40_000_000


@dataclass(frozen=True)
class Part:
    """One of the models. `name` is what messages call it. `companions`: bytes of its projector and draft."""

    name: str
    info: GgufInfo
    serving: Serving
    companions: int = 0


def judge_together(parts: list[Part], memory: BoardMemory) -> list[MemoryFit]:
    """How each model fits beside the others. Raises BoardllamaError, with the need of each, when they do not fit."""
    room = memory.available - BROKER_BYTES - sum(part.companions for part in parts)
    wanted = [estimate_memory(part.info, part.serving) for part in parts]
    if sum(estimate.total for estimate in wanted) <= room:
        return [MemoryFit(estimate) for estimate in wanted]
    least = [estimate_memory(part.info, replace(part.serving, repack=False)) for part in parts]
    needs = [estimate.total for estimate in least]
    if sum(needs) <= room:
        said = f"{needs_text(parts, [estimate.total for estimate in wanted], memory)}: served with --no-repack, slower"
        return [MemoryFit(estimate, no_repack=True, said=said) for estimate in least]
    raise BoardllamaError(
        f"{needs_text(parts, needs, memory)}; list fewer or smaller models, or give them a smaller context_size"
    )


def needs_text(parts: list[Part], needs: list[int], memory: BoardMemory) -> str:
    """What each needs, what all need together, and what there is."""
    whole = [need + part.companions for part, need in zip(parts, needs, strict=True)]
    each = ", ".join(f"{part.name} {to_mb(need)} MB" for part, need in zip(parts, whole, strict=True))
    together = to_mb(sum(whole) + BROKER_BYTES)
    return (
        f"{each} and the front {to_mb(BROKER_BYTES)} MB need {together} MB together, this board has "
        f"{memory.available // 1_000_000} MB for them (of {memory.total // 1_000_000} MB)"
    )
