"""Whether a model fits a board's memory, decided before anything is restarted."""

from bisect import bisect_right
from dataclasses import dataclass, replace

from deploy.errors import BoardllamaError
from deploy.models.gguf.info import GgufInfo
from deploy.models.memory.estimate import CELLS, Estimate, Serving, estimate_memory
from deploy.paths import typed

# What Debian with sshd and journald takes on a 64-bit board before anything is served, in bytes: 139 MB measured in
# the VM as MemTotal - MemAvailable.
RESERVE = 150_000_000

SMALLEST_CONTEXT = 512  # tokens; less holds no conversation

# Bits per weight of usual quantizations, best first: tools/quantize/README.md of the pinned llama.cpp, Llama 3.1 8B.
QUANTIZATIONS = {"Q8_0": 8.50, "Q6_K": 6.56, "Q5_K_M": 5.70, "Q4_K_M": 4.89, "Q3_K_M": 4.00, "Q2_K": 3.16}


# Per cent of a board's memory that the unit may have (MemoryMax); shares, so that one image fits every size.
MEMORY_SHARE = 85


@dataclass(frozen=True)
class BoardMemory:
    """A board's memory in bytes."""

    total: int  # MemTotal of /proc/meminfo
    maximum: int | None = None  # MemoryMax of the unit; None: no limit
    companions: int = 0  # what the model's projector and draft take of it

    @staticmethod
    def of_unit(total: int) -> "BoardMemory":
        """What our unit has on a board of so many bytes."""
        return BoardMemory(total=total, maximum=total * MEMORY_SHARE // 100)

    @property
    def available(self) -> int:
        """Bytes that llama-server may take for the model itself."""
        rest = max(0, self.total - RESERVE)
        return max(0, (rest if self.maximum is None else min(rest, self.maximum)) - self.companions)


@dataclass(frozen=True)
class MemoryFit:
    """The model fits, perhaps only without repacked weights; `said`: what a user must be told, or ""."""

    estimate: Estimate
    no_repack: bool = False  # start llama-server with --no-repack
    said: str = ""


def judge_fit(info: GgufInfo, name: str, serving: Serving, memory: BoardMemory) -> MemoryFit:
    """How the model fits. `name` is what messages call the model.

    Raises BoardllamaError for a model that does not fit, with the biggest context size that would fit, or else the
    quantization.
    """
    wanted = estimate_memory(info, serving)
    if wanted.total <= memory.available:
        return MemoryFit(wanted)
    plain = replace(serving, repack=False)
    least = estimate_memory(info, plain)
    if least.total <= memory.available:
        return MemoryFit(least, no_repack=True, said=_slower_text(name, wanted, least, memory))
    raise BoardllamaError(f"{_need_text(name, info, plain, memory)}; {_what_fits(info, plain, memory.available)}")


def require_room(info: GgufInfo, name: str, serving: Serving, memory: BoardMemory) -> None:
    """As `judge_fit`, for a model of which no more is known than its header's numbers and its size."""
    if can_fit(info, serving, memory):
        return
    plain = replace(serving, repack=False)
    context = biggest_context(info, plain, memory.available)
    cure = (
        f"set context_size to {context} or less"
        if context
        else f"take a smaller one: {typed('models')} lists what fits"
    )
    raise BoardllamaError(f"{_need_text(name, info, plain, memory)}; {cure}")


def can_fit(info: GgufInfo, serving: Serving, memory: BoardMemory) -> bool:
    """Whether the model fits, perhaps only without repacked weights."""
    return estimate_memory(info, replace(serving, repack=False)).total <= memory.available


def biggest_context(info: GgufInfo, serving: Serving, available: int) -> int | None:
    """The biggest context size in tokens, below the wanted one, that fits; None when not even the smallest does."""
    contexts = range(SMALLEST_CONTEXT, serving.context_size or info.context_length, CELLS)
    fitting = bisect_right(
        contexts, available, key=lambda tokens: estimate_memory(info, replace(serving, context_size=tokens)).total
    )
    return contexts[fitting - 1] if fitting else None


def best_quantization(info: GgufInfo, serving: Serving, available: int) -> str | None:
    """The usual quantization with the most bits, fewer than the file's, that fits; None when none does."""
    rest = estimate_memory(info, serving).total - info.size
    matrices = [tensor for tensor in info.tensors if len(tensor.shape) > 1]
    now = sum(tensor.size for tensor in matrices)
    for quantization, bits in QUANTIZATIONS.items():
        then = int(sum(tensor.weights for tensor in matrices) * bits / 8)
        if then < now and rest + info.size - now + then <= available:
            return quantization
    return None


def _what_fits(info: GgufInfo, serving: Serving, available: int) -> str:
    context = biggest_context(info, serving, available)
    if context:
        return f"set context_size to {context} or less"
    wanted = serving.context_size or info.context_length
    for tokens in (wanted, min(wanted, SMALLEST_CONTEXT)):
        quantization = best_quantization(info, replace(serving, context_size=tokens), available)
        if quantization:
            return f"take the same model as {quantization}, with context_size {tokens}"
    return "no quantization of it fits (not even Q2_K): take a smaller model"


def _need_text(name: str, info: GgufInfo, serving: Serving, memory: BoardMemory) -> str:
    need = estimate_memory(info, serving)
    parts = f"weights {to_mb(need.weights)}, KV cache {to_mb(need.kept)}, buffers {to_mb(need.buffers + need.base)}"
    context = serving.context_size or info.context_length
    return f"{name} needs {to_mb(need.total)} MB for {context} tokens of context ({parts}), {_memory_text(memory)}"


def _slower_text(name: str, wanted: Estimate, least: Estimate, memory: BoardMemory) -> str:
    return (
        f"{name} needs {to_mb(wanted.total)} MB with weights repacked for speed (weights {to_mb(wanted.weights)}, "
        f"repacked {to_mb(wanted.repacked)}, KV cache {to_mb(wanted.kept)}, "
        f"buffers {to_mb(wanted.buffers + wanted.base)}), {_memory_text(memory)}: "
        f"served with --no-repack, {to_mb(least.total)} MB, slower"
    )


def _memory_text(memory: BoardMemory) -> str:
    """The board's memory for messages, rounded down. Needs are rounded up: a need too large never looks equal."""
    others = f", {to_mb(memory.companions)} of them for its projector and draft" if memory.companions else ""
    return f"this board has {memory.available // 1_000_000} MB for it (of {memory.total // 1_000_000} MB{others})"


def to_mb(size: int) -> int:
    """Bytes in MB, rounded up."""
    return -(-size // 1_000_000)
