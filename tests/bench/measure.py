"""One measurement of a plan: a program under emulation, and its values."""

import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.bench.contenders import Installed, source_build
from tests.bench.counts import Counts, read_counts
from tests.bench.emulation import Emulator, counting_plugin
from tests.bench.plan import BENCH, COUNTED, START, Measurement, Values


def measure_programs(one: Measurement, programs: Installed, model: Path) -> Values:
    """The values of a measurement. Raises BoardllamaError when the program fails."""
    if one.kind == START:
        return asdict(Emulator(one.cpu).start_server(programs, model))
    if one.kind.startswith(COUNTED):
        counts = count_instructions(one.cpu, programs, model, BENCH[one.kind.removeprefix(COUNTED)])
        return {"instructions": float(counts.total)}
    return {"cpu_seconds": Emulator(one.cpu).run_bench(programs, model, *BENCH[one.kind])}


def count_instructions(cpu: str, programs: Installed, model: Path, words: tuple[str, ...]) -> Counts:
    """The instructions of a run of llama-bench with those arguments. Raises BoardllamaError."""
    with tempfile.TemporaryDirectory(prefix="boardllama-bench-") as folder:
        counts = Path(folder) / "counts"
        plugin = ("-plugin", f"{counting_plugin(source_build())},out={counts}")
        Emulator(cpu, plugin).run_bench(programs, model, *words)
        return read_counts(counts)
