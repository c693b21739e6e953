"""Cycles of a token by llvm-mca: LLVM's model of a core, applied to each block of code that a token executes.

What is executed, and how often, is counted under emulation (count.c). Blocks that follow each other and are executed
equally often are one loop. llvm-mca takes each loop to follow itself for ever, with all data in the first cache and
every branch foreseen: a lower bound by that model, which knows nothing of memory.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from gguf import GGMLQuantizationType as Kind

from deploy.controller.programs import program_output
from deploy.errors import BoardllamaError
from tests.bench.contenders import Installed
from tests.bench.counting import count_instructions
from tests.bench.counts import Counts
from tests.bench.plan import BENCH, GENERATION, PROMPT
from tests.bench.roots import LLVM
from tests.bench.shapes import ensure_model
from tests.shapes import Shape

# LLVM's name of a core -> QEMU's -cpu that executes the same code: what is counted there serves all cores that have the
# same instructions.
CORES = {
    "cortex-a53": "cortex-a53",
    "cortex-a55": "cortex-a76",
    "cortex-a72": "cortex-a53",
    "cortex-a76": "cortex-a76",
    "neoverse-n1": "cortex-a76",
}
# One layer of TinyLlama: every kernel runs, and a run takes seconds.
KERNELS = {
    kind.name: Shape(f"one-{kind.name}".lower(), kind, kind, 2048, 5632, 1, 32, 4, 2000, 2048)
    for kind in (Kind.Q4_0, Kind.Q4_K, Kind.Q8_0)
}
KV = "F16 KV"
TOKENS = {"prompt": PROMPT, "generation": GENERATION}
DEPTH = 256  # tokens that are there before, for what attention costs
ITERATIONS = 100
# Of the executed instructions; the rest is taken to be as fast as these.
COVERED = 0.99
MOST_LOOPS = 150


@dataclass(frozen=True)
class Loop:
    """Code that is executed as a whole. `code`: its bytes; `executions`: how often."""

    code: bytes
    executions: int

    @property
    def instructions(self) -> int:
        """Executed ones."""
        return len(self.code) // 4 * self.executions


def find_loops(counts: Counts) -> list[Loop]:
    """The loops of a run, the one with the most executed instructions first."""
    parts: list[tuple[int, int, int]] = []
    for (address, instructions), executions in sorted(counts.blocks.items()):
        end = address + 4 * instructions
        if parts and parts[-1][1:] == (address, executions):
            parts[-1] = (parts[-1][0], end, executions)
        elif executions:
            parts.append((address, end, executions))
    loops = [Loop(counts.code(begin, end), executions) for begin, end, executions in parts]
    return sorted((loop for loop in loops if loop.code), key=lambda loop: -loop.instructions)


def hot_loops(loops: list[Loop]) -> list[Loop]:
    """The first loops, until COVERED of all instructions are in them."""
    wanted, hot = COVERED * sum(loop.instructions for loop in loops), list[Loop]()
    for loop in loops[:MOST_LOOPS]:
        hot.append(loop)
        wanted -= loop.instructions
        if wanted <= 0:
            break
    return hot


def token_cycles(kernel: str, core: str, programs: Installed) -> dict[str, float]:
    """Cycles of a token of prompt and of an answer. Raises BoardllamaError."""
    return {part: kernel_cycles(kernel, core, programs, part) / (TOKENS[part][1] - TOKENS[part][0]) for part in TOKENS}


def kernel_cycles(kernel: str, core: str, programs: Installed, part: str) -> float:
    """Cycles of the tokens between a short and a long run. Of F16 KV: what DEPTH tokens before them add."""
    if kernel != KV:
        return run_cycles(between(core, programs, ensure_model(KERNELS[kernel]), part, 0), core)
    model = ensure_model(KERNELS["Q4_0"])
    deep, flat = (run_cycles(between(core, programs, model, part, depth), core) for depth in (DEPTH, 0))
    return deep - flat


def between(core: str, programs: Installed, model: Path, part: str, depth: int) -> Counts:
    """What a long run of llama-bench executes beside a short one, with `depth` tokens there before."""
    short, long = (
        count_instructions(CORES[core], programs, model, (*BENCH[f"{part}-{length}"], "-d", str(depth)))
        for length in ("short", "long")
    )
    return long.without(short)


def run_cycles(counts: Counts, core: str) -> float:
    """Cycles of a whole run on a core. Raises BoardllamaError where llvm-mca cannot judge the code."""
    loops = find_loops(counts)
    hot = hot_loops(loops)
    spent = sum(loop.executions * cycles for loop, cycles in zip(hot, loop_cycles(hot, core), strict=True))
    covered = sum(loop.instructions for loop in hot)
    return spent * sum(loop.instructions for loop in loops) / covered


def loop_cycles(loops: list[Loop], core: str) -> list[float]:
    """Cycles of one execution of each loop. Raises BoardllamaError."""
    texts = disassemble(loops)
    regions = [f"# LLVM-MCA-BEGIN {number}\n{text}\n# LLVM-MCA-END\n" for number, text in enumerate(texts)]
    options = ["-mtriple=aarch64", f"-mcpu={core}", "-mattr=+all", f"-iterations={ITERATIONS}", "--json"]
    options += ["-instruction-info=0", "-resource-pressure=0"]
    said = program_output(*LLVM.command("llvm-mca"), *options, given="".join(regions).encode(), deadline=600)
    found = {region["Name"]: region["SummaryView"] for region in json.loads(said)["CodeRegions"]}
    return [found[str(number)]["TotalCycles"] / ITERATIONS for number in range(len(loops))]


def disassemble(loops: list[Loop]) -> list[str]:
    """Each loop as the text that llvm-mca reads. Raises BoardllamaError for bytes that are no instructions."""
    code = b"".join(loop.code for loop in loops)
    given = "\n".join(" ".join(f"{byte:#04x}" for byte in code[at : at + 4]) for at in range(0, len(code), 4))
    options = ["-disassemble", "-triple=aarch64", "-mattr=+all"]
    said = program_output(*LLVM.command("llvm-mc"), *options, given=given.encode(), deadline=120).decode()
    lines = [line for line in said.splitlines() if line.strip() and not line.lstrip().startswith(".")]
    if 4 * len(lines) != len(code):
        raise BoardllamaError(
            f"llvm-mc made {len(lines)} instructions of {len(code) // 4}: LLVM does not know them all"
        )
    texts = []
    for loop in loops:
        texts.append("\n".join(lines[: len(loop.code) // 4]))
        del lines[: len(loop.code) // 4]
    return texts
