"""What a run measures, in which order, and what is known already: a run that was killed goes on with what it has."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from deploy.controller.progress import whole_duration
from deploy.onboard.files import write_file

PROMPT = (16, 80)  # tokens of the two runs whose difference is the cost of a token
GENERATION = (2, 14)
# Kind of measurement -> llama-bench's arguments.
BENCH = {
    "prompt-short": ("-p", str(PROMPT[0]), "-n", "0"),
    "prompt-long": ("-p", str(PROMPT[1]), "-n", "0"),
    "generation-short": ("-p", "0", "-n", str(GENERATION[0])),
    "generation-long": ("-p", "0", "-n", str(GENERATION[1])),
}
START = "start"
COUNTED = "counted "  # before a kind of BENCH: instructions, once, because each run has the same
KINDS = (*BENCH, START)
CYCLES = "cycles "  # before a kernel of cycles.py
# Seconds of a measurement of TinyLlama's shape, as long as none was made on this machine.
GUESS = 60.0
TINYLLAMA_BYTES = 668e6


@dataclass(frozen=True)
class Measurement:
    """One run of one program. `identity`: the contender's bytes, the model, and the code that measures."""

    identity: str
    cpu: str
    contender: str
    round: int
    kind: str

    @property
    def key(self) -> str:
        return f"{self.identity} {self.cpu} {self.contender} {self.round} {self.kind}"

    @property
    def is_exact(self) -> bool:
        """Whether each run has the same values."""
        return self.kind.startswith((COUNTED, CYCLES))

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.cpu} {self.contender} {self.kind}"


Values = Mapping[str, float]


def plan_measurements(
    identities: Mapping[tuple[str, str], str], rounds: int, counted: bool = True
) -> list[Measurement]:
    """All measurements, in order. `identities`: by CPU and contender, in the order of both.

    Contenders take turns within each round, so that whatever else the machine does meets them all.
    """
    counts = [COUNTED + kind for kind in BENCH] if counted else []
    first = [
        Measurement(identity, cpu, contender, 1, kind)
        for (cpu, contender), identity in identities.items()
        for kind in counts
    ]
    turns = [
        Measurement(identity, cpu, contender, number, kind)
        for number in range(1, rounds + 1)
        for (cpu, contender), identity in identities.items()
        for kind in KINDS
    ]
    return first + turns


def plan_cycles(identities: Mapping[tuple[str, str], str], kernels: Iterable[str]) -> list[Measurement]:
    """The static cycles of each kernel. `identities`: by core and contender."""
    names = list(kernels)
    return [
        Measurement(identity, core, contender, 1, CYCLES + kernel)
        for kernel in names
        for (core, contender), identity in identities.items()
    ]


@dataclass
class Results:
    """What was measured so far, in a file of one JSON object a line: what a killed run had is there for the next."""

    file: Path
    found: dict[str, Values] = field(default_factory=dict)

    @staticmethod
    def of_file(file: Path) -> "Results":
        """A last line that a cut left in half is no result."""
        results = Results(file)
        for line in file.read_text().splitlines() if file.exists() else []:
            try:
                result = json.loads(line)
                results.found[result.pop("measurement")] = result
            except (ValueError, KeyError, AttributeError):
                continue
        return results

    def add(self, measurement: Measurement, values: Values) -> None:
        """Keeps a result at once."""
        self.found[measurement.key] = values
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a") as file:
            file.write(json.dumps({"measurement": measurement.key, **values}) + "\n")

    def forget(self, measurements: Iterable[Measurement]) -> None:
        """Removes what a whole run has used, and what the next run measures anew: all that is not exact."""
        used = {measurement.key for measurement in measurements if not measurement.is_exact}
        self.found = {key: values for key, values in self.found.items() if key not in used}
        lines = [json.dumps({"measurement": key, **values}) + "\n" for key, values in self.found.items()]
        write_file(self.file, "".join(lines).encode())


def left_seconds(left: Iterable[Measurement], seconds: Mapping[str, float], guess: float) -> float:
    """Seconds that the measurements take, by what those with the same title took; else by the mean, else by `guess`."""
    mean = fmean(seconds.values()) if seconds else guess
    return sum(seconds.get(measurement.title, mean) for measurement in left)


def expected_text(left: list[Measurement], known: int, seconds: Mapping[str, float], guess: float) -> str:
    """What is said at the beginning: how much there is to do, and how long it takes."""
    have = f", {known} are there from a run before" if known else ""
    bounds = "CPUS=, CONTENDERS=, ROUNDS= and SHAPE=small bound it"
    return f"{len(left)} measurements{have}: about {whole_duration(left_seconds(left, seconds, guess))}; {bounds}"
