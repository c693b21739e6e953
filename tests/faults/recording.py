"""A change recorded as the writes of the target's disk: made once, cut at as many moments as rows want."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.errors import BoardllamaError
from tests.faults.changes import Change
from tests.faults.lab import Lab, say
from tests.faults.write_log import entries


@dataclass(frozen=True)
class Recording:
    """`first` and `last` are the numbers of entries when the change began and when it had ended."""

    log: Path
    first: int
    last: int

    @staticmethod
    def of(lab: Lab, change: Change) -> "Recording":
        """The finished one. Raises FileNotFoundError."""
        facts = json.loads((lab.folder / f"{change.name}.recording.json").read_text())
        return Recording(lab.folder / f"{change.name}.writes", facts["first"], facts["last"])


def record(lab: Lab, change: Change) -> None:
    """Makes the change with a write log, unless it is recorded. Nobody syncs at its end."""
    about = lab.folder / f"{change.name}.recording.json"
    if about.exists():
        return
    say(f"recording the writes of {change.name}")
    lab.restore(change.start)
    lab.up(write_log=True)
    lab.run("sync")
    first = count(lab.machine.write_log)
    ended = change.run(lab)
    if ended.returncode:
        raise BoardllamaError(f"{change.name} failed with nothing in its way: {ended.said[-500:]}")
    last = count(lab.machine.write_log)
    lab.cut()
    recording = Recording(lab.folder / f"{change.name}.writes", first, last)
    lab.machine.write_log.rename(recording.log)
    about.write_text(json.dumps({key: value for key, value in asdict(recording).items() if key != "log"}))


def count(log: Path) -> int:
    """Entries so far."""
    with log.open("rb") as file:
        return sum(1 for _ in entries(file))
