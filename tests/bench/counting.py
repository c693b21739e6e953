"""Runs of llama-bench whose instructions are counted."""

import tempfile
from functools import cache
from pathlib import Path

from tests.bench.contenders import Installed, source_build
from tests.bench.counts import Counts, read_counts
from tests.bench.emulation import Emulator, counting_plugin


@cache
def count_instructions(cpu: str, programs: Installed, model: Path, words: tuple[str, ...]) -> Counts:
    """The instructions of a run of llama-bench with those arguments, which are the same in each run.

    Raises BoardllamaError.
    """
    with tempfile.TemporaryDirectory(prefix="boardllama-bench-") as folder:
        counts = Path(folder) / "counts"
        plugin = ("-plugin", f"{counting_plugin(source_build())},out={counts}")
        Emulator(cpu, plugin).run_bench(programs, model, *words)
        return read_counts(counts)
