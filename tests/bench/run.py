"""One run: contenders made, measured in turn, and what came of it as a record."""

import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

from deploy.controller.programs import program_output
from deploy.controller.progress import say_line, whole_duration
from deploy.errors import BoardllamaError, NotThere, shown
from deploy.paths import cache_dir
from tests.bench.contenders import CONTENDERS, CPUS, Installed, installed
from tests.bench.cycles import CORES, KERNELS, KV, TOKENS
from tests.bench.emulation import Emulator
from tests.bench.figures import gather_figures
from tests.bench.history import Cycles, Entry, Record
from tests.bench.measure import measure_programs
from tests.bench.plan import (
    CYCLES,
    GUESS,
    TINYLLAMA_BYTES,
    Measurement,
    Results,
    Values,
    expected_text,
    left_seconds,
    plan_cycles,
    plan_measurements,
)
from tests.bench.roots import HERE
from tests.bench.shapes import SHAPES, ensure_model
from tests.bench.words import chosen_names
from tests.shapes import Shape

MOST_ROUNDS = 100


@dataclass
class Run:
    """What is compared. `absent`: contenders that cannot be here, with the reason."""

    cpus: tuple[str, ...]
    contenders: tuple[str, ...]
    rounds: int
    shape: Shape
    absent: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def of_words(cpus: str, contenders: str, rounds: str, shape: str) -> "Run":
        """A run by the words of `make bench`. Raises BoardllamaError for one that means nothing."""
        shapes = chosen_names(shape, tuple(SHAPES), "SHAPE")
        if len(shapes) != 1:
            raise BoardllamaError(f"SHAPE={shape}: must be one of {', '.join(SHAPES)}")
        return Run(
            chosen_names(cpus, CPUS, "CPUS"),
            chosen_names(contenders, tuple(CONTENDERS), "CONTENDERS"),
            count_rounds(rounds),
            SHAPES[shapes[0]],
        )

    def install_contenders(self, cores: Iterable[str]) -> dict[tuple[str, str], Installed]:
        """By core and contender, in the order of both. Who cannot be is named in `absent`. Raises BoardllamaError."""
        found = {}
        for core in cores:
            for name in self.contenders:
                try:
                    found[core, name] = installed(name, core)
                except NotThere as reason:
                    if name not in self.absent:
                        say_line(f"bench: without {name}: {reason}")
                    self.absent[name] = str(reason)
        return found

    def static_contenders(self) -> dict[tuple[str, str], Installed]:
        """Those with kernels of their own, by core: arguments of llama-bench make no other loops."""
        found = self.install_contenders([core for core, cpu in CORES.items() if cpu in self.cpus])
        return {pair: one for pair, one in found.items() if not one.arguments}

    def measure(self, keep: Callable[[Record], object]) -> Record:
        """Measures what no run before has measured, and has the record kept. Raises BoardllamaError."""
        programs, model = self.install_contenders(self.cpus), ensure_model(self.shape)
        if not programs:
            raise BoardllamaError(f"none of {', '.join(self.contenders)} can be measured: say others by CONTENDERS=")
        static = self.static_contenders()
        timed = plan_measurements(self.identities(programs), self.rounds)
        cycles = plan_cycles(self.identities(static), (*KERNELS, KV))
        results = Results.of_file(cache_dir() / "bench" / "results.jsonl")
        guess = GUESS * model.stat().st_size / TINYLLAMA_BYTES
        for one in self.each([*timed, *cycles], results, guess):
            made = static if one.kind.startswith(CYCLES) else programs
            began = time.monotonic()
            values = measure_programs(one, made[one.cpu, one.contender], model)
            results.add(one, {**values, "seconds": round(time.monotonic() - began, 2)})
        record = self.record(timed, cycles, results, programs)
        keep(record)
        results.forget([*timed, *cycles])
        return record

    def each(self, planned: list[Measurement], results: Results, guess: float) -> Iterator[Measurement]:
        """Each measurement that has no result yet; says how far it is, and the time left.

        `guess`: seconds of a measurement, as long as none has been made.
        """
        left = [one for one in planned if one.key not in results.found]
        say_line(f"bench: {expected_text(left, len(planned) - len(left), known_seconds(planned, results), guess)}")
        for number, one in enumerate(left, 1):
            yield one
            rest = whole_duration(left_seconds(left[number:], known_seconds(planned, results), guess))
            said = value_text(results.found[one.key])
            say_line(f"bench: {number}/{len(left)} {one.title}: {said}; about {rest} left")

    def identities(self, programs: Mapping[tuple[str, str], Installed]) -> dict[tuple[str, str], str]:
        """Words that are others when anything is another that decides a measurement."""
        measure = measuring_digest()
        words = {pair: [measure, self.shape.name, one.folder.name, *one.arguments] for pair, one in programs.items()}
        return {pair: " ".join(said) for pair, said in words.items()}

    def record(
        self,
        timed: list[Measurement],
        cycles: list[Measurement],
        results: Results,
        programs: Mapping[tuple[str, str], Installed],
    ) -> Record:
        """What was measured, as the history keeps it."""
        figures = gather_figures(timed, results.found)
        for pair, one in programs.items():
            figures[pair]["size"] = [one.size]
        return Record(
            date=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            commit=program_output("git", "describe", "--always", "--dirty", "--abbrev=12").decode().strip(),
            shape=self.shape.name,
            rounds=self.rounds,
            machine=f"{processor_name()}, {os.cpu_count()} cores, load {os.getloadavg()[2]:.1f}",
            emulator=Emulator.version(),
            absent=self.absent,
            entries=[self.entry(*pair, programs[pair], found) for pair, found in figures.items()],
            cycles=[cycles_of(one, results.found[one.key]) for one in cycles],
        )

    def entry(self, cpu: str, name: str, programs: Installed, figures: Mapping[str, list[float]]) -> Entry:
        """What was measured of a contender on a CPU."""
        kernels = Emulator(cpu).chosen_kernels(programs, ensure_model(self.shape))
        kept = {figure: [rounded(value) for value in values] for figure, values in figures.items()}
        return Entry(cpu=cpu, contender=name, programs=programs.folder.name, kernels=kernels, figures=kept)


def measuring_digest() -> str:
    """Another one when the code that measures is another."""
    files = [HERE / name for name in ("count.c", "counting.py", "counts.py", "cycles.py", "emulation.py", "plan.py")]
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


def cycles_of(one: Measurement, values: Values) -> Cycles:
    """A measurement of cycles as the history keeps it."""
    kernel, parts = one.kind.removeprefix(CYCLES), {part: rounded(values[part]) for part in TOKENS}
    return Cycles(contender=one.contender, model=one.cpu, kernel=kernel, **parts)


def count_rounds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_ROUNDS:
        raise BoardllamaError(f"ROUNDS={shown(text)}: must be a number from 1 to {MOST_ROUNDS}; 5 is the default")
    return int(text)


def rounded(value: float) -> float:
    """To five digits, which is more than any figure is worth."""
    return float(f"{value:.5g}")


def value_text(values: Values) -> str:
    """The value that counts, for people."""
    if "instructions" in values:
        return f"{values['instructions'] / 1e6:,.0f} M instructions"
    if "generation" in values:
        return f"{values['prompt'] / 1e6:.2f}, {values['generation'] / 1e6:.2f} M cycles a token"
    return f"{values['cpu_seconds']:.2f} CPU s"


def known_seconds(planned: list[Measurement], results: Results) -> dict[str, float]:
    """Wall seconds of what was measured so far, by title: a later round takes about as long."""
    return {one.title: results.found[one.key]["seconds"] for one in planned if one.key in results.found}


def processor_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
