"""docs/explanation/benchmarks/fleet: a file of JSON for each run of `make fleet`, which is never changed afterwards."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from deploy.paths import REPO
from tests.fleet.measure import Costs
from tests.records import read_record_file, write_record_file

FOLDER = REPO / "docs" / "explanation" / "benchmarks" / "fleet"
MEGABYTE = 1_000_000


class Measured(BaseModel):
    """One tool at one scenario. `boards`: of the run; `simulated`: those that are not virtual machines."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str
    scenario: str
    boards: int
    simulated: int
    costs: Costs

    @property
    def commands(self) -> float:
        """Commands of a simulated board."""
        return self.costs.commands / self.simulated

    @property
    def boards_cpu(self) -> float:
        """Processor seconds of a simulated board."""
        return self.costs.boards_cpu / self.simulated

    @property
    def summary(self) -> str:
        """What counts, for people."""
        costs = self.costs
        return (
            f"controller {costs.cpu:.1f} CPU s, {costs.memory / MEGABYTE:.0f} MB, sent {costs.sent / MEGABYTE:.1f} MB; "
            f"a board {self.boards_cpu:.2f} CPU s, {self.commands:.1f} commands; {costs.wall:.0f} s"
        )


class OddBoard(BaseModel):
    """A board that is not as it should be: what a run says of it, and whether that is what was expected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    board: str
    verdict: str
    reason: str
    as_expected: bool


class UnderLoad(BaseModel):
    """Clients of a gateway at work while something happened to its boards. `answered`: requests; `failed`: what went
    wrong; `out`: the most boards that had no requests at once; `verdicts`: how many boards, by what the run said of
    them; `wall`: seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    happened: str
    boards: int
    clients: int
    answered: int
    failed: list[str]
    out: int
    verdicts: dict[str, int]
    wall: float
    as_expected: bool

    @property
    def summary(self) -> str:
        """All of it in a line."""
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in self.verdicts.items()) or "no deploy"
        return (
            f"{self.happened}, {self.boards} boards, {self.clients} clients: {self.answered} answered, "
            f"{len(self.failed)} failed, at most {self.out} out at once, {verdicts}, {self.wall:.0f} s"
        )


class Record(BaseModel):
    """One run. `date`: of its end; `machine`: in words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    date: str
    commit: str
    machine: str
    measured: list[Measured]
    odd: list[OddBoard] = []
    under_load: list[UnderLoad] = []


def read_history(folder: Path = FOLDER) -> list[Record]:
    """Every record, the oldest first. Raises BoardllamaError for a file that is no record."""
    return sorted((read_record_file(file, Record) for file in folder.glob("*.json")), key=lambda record: record.date)


def keep_record(record: Record, folder: Path = FOLDER) -> Path:
    """Writes a record under its date to the second, and its commit."""
    file = folder / f"{record.date.replace(':', '')}-{record.commit[:7]}.json"
    write_record_file(file, record)
    return file
