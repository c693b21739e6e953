"""One measurement of a plan: a program under emulation, and its values."""

from dataclasses import asdict
from pathlib import Path

from tests.bench.contenders import Installed
from tests.bench.counting import count_instructions
from tests.bench.cycles import token_cycles
from tests.bench.emulation import Emulator
from tests.bench.plan import BENCH, COUNTED, CYCLES, START, Measurement, Values


def measure_programs(one: Measurement, programs: Installed, model: Path) -> Values:
    """The values of a measurement. Raises BoardllamaError when the program fails."""
    if one.kind.startswith(CYCLES):
        return token_cycles(one.kind.removeprefix(CYCLES), one.cpu, programs)
    if one.kind.startswith(COUNTED):
        counts = count_instructions(one.cpu, programs, model, BENCH[one.kind.removeprefix(COUNTED)])
        return {"instructions": float(counts.total)}
    if one.kind == START:
        return asdict(Emulator(one.cpu).start_server(programs, model))
    return {"cpu_seconds": Emulator(one.cpu).run_bench(programs, model, *BENCH[one.kind])}
