"""docs/explanation/benchmarks/history: a file of JSON for each whole run, which is never changed afterwards."""

from pathlib import Path
from statistics import median

from pydantic import BaseModel, ConfigDict

from deploy.errors import BoardllamaError
from deploy.onboard.spelling import nearest_name
from deploy.paths import REPO
from tests.bench.contenders import OURS
from tests.bench.figures import FIGURES, REGRESSION, Figure
from tests.records import read_record_file, write_record_file

FOLDER = REPO / "docs" / "explanation" / "benchmarks" / "history"
NEWEST = "newest"
# Not what a busy machine changes by itself.
JUDGED = [name for name, figure in FIGURES.items() if figure.judged]


class Entry(BaseModel):
    """A contender on a CPU. `figures`: the values of each round, by the names of figures.py.

    `programs`: the name that their pins give them in the cache. `kernels`: the file that a contender with several
    chose for that CPU.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: str
    contender: str
    programs: str = ""
    kernels: str = ""
    figures: dict[str, list[float]]


class Cycles(BaseModel):
    """Cycles of a token by llvm-mca. `kernel`: a quantization, or F16 KV; `model`: LLVM's name of the core."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contender: str
    model: str
    kernel: str
    prompt: float
    generation: float


class Record(BaseModel):
    """One run. `date`: of its end; `machine` and `emulator`: in words; `absent`: why a contender is not in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    date: str
    commit: str
    shape: str
    rounds: int
    machine: str
    emulator: str
    absent: dict[str, str] = {}
    entries: list[Entry]
    cycles: list[Cycles] = []

    def entry(self, cpu: str, contender: str) -> Entry | None:
        """What was measured of a contender on a CPU."""
        return next((one for one in self.entries if (one.cpu, one.contender) == (cpu, contender)), None)

    @property
    def cpus(self) -> list[str]:
        """In the order of the run."""
        return list(dict.fromkeys(entry.cpu for entry in self.entries))


def read_history(folder: Path = FOLDER) -> dict[str, Record]:
    """Every record by its name, the oldest first."""
    records = {file.stem: read_record_file(file, Record) for file in sorted(folder.glob("*.json"))}
    return dict(sorted(records.items(), key=lambda pair: (pair[1].date, pair[0])))


def keep_record(record: Record, folder: Path = FOLDER) -> Path:
    """Writes a record under a name that no other has: date, commit, shape."""
    name = f"{record.date[:10]}-{record.commit[:7]}-{record.shape}"
    names = (f"{name}{suffix}" for suffix in ("", *(f"-{number}" for number in range(2, 1000))))
    file = next(file for name in names if not (file := folder / f"{name}.json").exists())
    write_record_file(file, record)
    return file


def find_record(name: str, shape: str, folder: Path = FOLDER) -> Record:
    """The record of that name, or the newest one, to compare a run of `shape` with. Raises BoardllamaError."""
    records = read_history(folder)
    same = {key: record for key, record in records.items() if record.shape == shape}
    if name == NEWEST and same:
        return list(same.values())[-1]
    if name not in records:
        nearest = nearest_name(name, same)
        known = (
            f"did you mean {nearest}?" if nearest else f"there are {', '.join([*same, NEWEST]) if same else 'none yet'}"
        )
        raise BoardllamaError(f"AGAINST={name} is no record of {shape} in {folder.name}/: {known}")
    if name not in same:
        other = records[name].shape
        raise BoardllamaError(
            f"AGAINST={name} is of {other}, this run is of {shape}: say SHAPE={other}, or another record"
        )
    return same[name]


def regressions(before: Record, after: Record) -> list[str]:
    """A line for each figure of ours whose median became worse by 5 % or more.

    Raises BoardllamaError when the two records have nothing of ours in common.
    """
    lines, compared = [], 0
    for entry in after.entries:
        old = before.entry(entry.cpu, entry.contender)
        if entry.contender not in OURS or old is None:
            continue
        for name in (name for name in JUDGED if name in entry.figures and name in old.figures):
            compared += 1
            was, now = median(old.figures[name]), median(entry.figures[name])
            if was > 0 and now / was >= REGRESSION:
                lines.append(regression_line(entry, FIGURES[name], was, now))
    if not compared:
        raise BoardllamaError(f"the two runs share no CPU of {' or '.join(OURS)}: nothing can be compared")
    return lines


def regression_line(entry: Entry, figure: Figure, was: float, now: float) -> str:
    values = " → ".join(f"{value / figure.scale:.{figure.digits}f}" for value in (was, now))
    return f"{entry.cpu} {entry.contender}: {figure.title} {values} {figure.unit}, {now / was - 1:+.1%}"
