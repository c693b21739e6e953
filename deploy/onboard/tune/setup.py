"""What is tried and what is measured: a setup of llama-bench, and the figures of a run."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from ..server.bounds import UBATCH


class Setup(NamedTuple):
    """One way to compute with the model. `ubatch`: tokens of a prompt that are computed at once.

    `governor` and `pages`: of the system; "" leaves them as they are.
    """

    build: str  # the name of a CPU, as in deploy/cpu.py
    cores: tuple[int, ...]
    threads: int
    batch_threads: int
    repack: bool
    flash: bool = True
    kv_cache: str = "f16"
    load: str = "mmap"
    ubatch: int = UBATCH
    governor: str = ""
    pages: str = ""

    def with_threads(self, cores: tuple[int, ...], threads: int) -> "Setup":
        """The same on other cores, with as many threads for prompts as for tokens."""
        return self._replace(cores=cores, threads=threads, batch_threads=threads)

    def to_json(self) -> dict[str, Any]:
        return self._asdict()


class Size(NamedTuple):
    """Tokens of a run: read at once, answered, and read before both."""

    prompt: int
    generation: int
    depth: int = 0


@dataclass(frozen=True)
class Figure:
    """One run: tokens per second of prompt and answer, bytes of memory at the peak.

    `spoiled`: why the run says nothing of the setup; "" when it does.
    """

    prompt: float
    generation: float
    memory: int
    spoiled: str = ""


def core_list(cores: tuple[int, ...]) -> str:
    """The numbers as the kernel writes them: (0, 1, 2, 5) is 0-2,5."""
    parts: list[list[int]] = []
    for core in sorted(cores):
        if parts and core == parts[-1][-1] + 1:
            parts[-1].append(core)
        else:
            parts.append([core])
    return ",".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)
