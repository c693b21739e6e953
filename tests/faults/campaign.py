"""Runs rows: brings the target to its start, lets the fault strike, judges, heals, deploys again, judges again."""

import json
import random
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.errors import BoardllamaError
from tests.faults.changes import BARE, STARTS, Change
from tests.faults.controller import Controller
from tests.faults.fault import Struck, Trial
from tests.faults.judge import Outcome, Reference, Verdict, converged, judge, lost
from tests.faults.lab import Lab, say
from tests.faults.observed import Seen
from tests.faults.rows import Row
from tests.faults.target_layout import LAYOUT

# A deploy that converges after a fault and then changes nothing does so after the next one too: looked at now and then.
REPEAT_EVERY = 4


@dataclass(frozen=True)
class Result:
    """What came of one try. `code` names the code that was tried; `serve` is in seconds from power to /health 200."""

    row: str
    seed: int
    outcome: str
    where: str
    reason: str
    serve: float | None
    seconds: float
    code: str

    def __str__(self) -> str:
        served = f", serves {self.serve} s after power" if self.serve is not None else ""
        return (
            f"{self.row} --seed {self.seed}: {self.outcome} ({self.where}{served}; {self.seconds:.0f} s) {self.reason}"
        )


def dice(row: Row, seed: int) -> random.Random:
    """The same for the same row and seed, everywhere."""
    return random.Random(f"{row.name}:{seed}")


def attempt(lab: Lab, row: Row, seed: int) -> Result:
    """One try. A lab that fails is no result: raises BoardllamaError."""
    need_start(lab, row.change.start)
    trial = Trial(lab, row.change, reference(lab, row.change), dice(row, seed), repeats=seed % REPEAT_EVERY == 1)
    began = time.monotonic()
    row.fault.prepare(trial)
    struck, verdict = Struck("-"), Verdict(Outcome.OLD)
    try:
        struck = row.fault.strike(trial)
        verdict = judged(trial, row, struck)
    except (BoardllamaError, subprocess.SubprocessError) as error:
        verdict = lost(f"the target does not answer any more: {error}")
    finally:
        Controller.kill_all()
    seconds = time.monotonic() - began
    return Result(
        row.name, seed, verdict.outcome.value, struck.where, verdict.reason, struck.serve, round(seconds, 1), row.code
    )


def judged(trial: Trial, row: Row, struck: Struck) -> Verdict:
    """The target alone, then the fault itself, then whether the next deploys need no manual step."""
    first = judge(trial.lab.observe(), trial.reference, row.fault.allowed)
    if first.outcome is Outcome.LOST:
        return first if not struck.complaint else lost(f"{struck.complaint}; {first.reason}")
    row.fault.heal(trial)
    again = row.change.run(trial.lab)
    status, changed = again.returncode, list[str]()
    if trial.repeats:
        once_more = row.change.run(trial.lab)
        status, changed = status or once_more.returncode, once_more.changed
    second = converged(trial.lab.observe(), trial.reference, status, changed, again.said)
    if second.outcome is Outcome.LOST:
        return second
    if is_told(trial.lab, again.said + again.printed):
        return lost("the controller's output holds the API key")
    return lost(struck.complaint) if struck.complaint else first


def is_told(lab: Lab, output: str) -> bool:
    """Whether the target's key is in what the controller said."""
    key = lab.run(f"cat {LAYOUT['key']} 2>/dev/null || true").strip()
    return bool(key) and key in output


def need_start(lab: Lab, name: str) -> None:
    """The snapshot of a state: the bare machine after its first boot, or another state and a change."""
    if lab.snapshot(name).exists():
        return
    say(f"making the state {name}")
    if name == BARE:
        lab.wipe_disk()
        lab.up()
    else:
        change = STARTS[name]
        need_start(lab, change.start)
        lab.restore(change.start)
        lab.up()
        undisturbed(lab, change)
    lab.off()
    lab.save(name)


def undisturbed(lab: Lab, change: Change) -> float:
    """Makes a change with nothing in its way; its seconds."""
    began = time.monotonic()
    ended = change.run(lab)
    if ended.returncode:
        raise BoardllamaError(f"{change.name} fails with nothing in its way: {ended.said.strip()[-500:]}")
    return time.monotonic() - began


def reference(lab: Lab, change: Change) -> Reference:
    """What the change does undisturbed, measured once."""
    path = lab.folder / f"{change.name}.json"
    if not path.exists():
        say(f"measuring {change.name}")
        lab.restore(change.start)
        lab.up()
        old = lab.observe()
        seconds = undisturbed(lab, change)
        path.write_text(json.dumps({"old": old.as_json(), "new": lab.observe().as_json(), "seconds": seconds}))
    facts = json.loads(path.read_text())
    return Reference(Seen.parse(facts["old"]), Seen.parse(facts["new"]), facts["seconds"])


class Results:
    """All results so far, one JSON object per line; what is appended is on disk at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, result: Result) -> None:
        """Appends one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")

    def __iter__(self) -> Iterator[Result]:
        """The last one of each row, seed and code."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        found = [Result(**json.loads(line)) for line in lines if line.endswith("}")]
        yield from {(result.row, result.seed, result.code): result for result in found}.values()

    def has(self, row: Row, seed: int) -> bool:
        """Whether that try was made with the code as it is."""
        return any((result.row, result.seed, result.code) == (row.name, seed, row.code) for result in self)

    def present(self, rows: Iterable[Row]) -> list[Result]:
        """Those of these rows and of the code as it is."""
        codes = {row.name: row.code for row in rows}
        return [result for result in self if codes.get(result.row) == result.code]
