"""What every fault is: it strikes while a change runs, and afterwards its cause is gone."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from tests.faults.changes import Change
from tests.faults.controller import Controller, Ended
from tests.faults.judge import Outcome, Reference, last_line
from tests.faults.lab import Lab

EITHER = frozenset({Outcome.OLD, Outcome.NEW})
ONLY_OLD = frozenset({Outcome.OLD})
ONLY_NEW = frozenset({Outcome.NEW})


@dataclass(frozen=True)
class Trial:
    """One fault during one change; all that is random in it comes from `dice`."""

    lab: Lab
    change: Change
    reference: Reference
    dice: random.Random
    # Whether the deploy after the next is made too, which must change nothing.
    repeats: bool = True

    def controller(self, *settings: str, env: dict[str, str] | None = None) -> Controller:
        """The change's own run, not yet begun."""
        return self.change.controller(self.lab, *settings, env=env)

    def moment(self) -> float:
        """Seconds from the start of the change to somewhere in it."""
        return self.dice.uniform(0.0, self.reference.seconds)


@dataclass(frozen=True)
class Struck:
    """Where the fault struck, for people; seconds from power to serving, when it was about power; its own complaint."""

    where: str
    serve: float | None = None
    complaint: str = ""


class Fault(ABC):
    """`allowed`: what may be served afterwards. `name` is that of its rows. `fetches`: a model, from a hub."""

    name: str
    allowed: frozenset[Outcome] = EITHER
    fetches: ClassVar[bool] = False

    @abstractmethod
    def strike(self, trial: Trial) -> Struck:
        """Begins the change, lets the fault happen, and leaves the target up and alone."""

    def prepare(self, trial: Trial) -> None:
        """Brings up the target in the state that the change starts on."""
        trial.lab.restore(trial.change.start)
        trial.lab.up()

    def heal(self, trial: Trial) -> None:
        """Takes the cause away, as an operator would: frees the disk, plugs the cable in. Most go by themselves."""
        return


@dataclass
class Run:
    """A change under way and when it began."""

    controller: Controller
    began: float = field(default_factory=time.monotonic)

    def sleep_until(self, seconds: float) -> float:
        """Returns at that many seconds after the start, or when it has ended: the seconds that passed."""
        self.controller.wait(max(0.0, self.began + seconds - time.monotonic()))
        return time.monotonic() - self.began


def must_fail(ended: Ended, *words: str) -> str:
    """A complaint unless the run failed in clear words."""
    if ended.returncode == 0:
        return "the deploy succeeded"
    if "Traceback" in ended.said:
        return "the deploy failed with a traceback"
    missing = [word for word in words if word not in ended.said]
    return f"the deploy failed without saying {missing[0]!r}" if missing else ""


def must_succeed(ended: Ended) -> str:
    """A complaint unless the run did what it was told to."""
    return f"the deploy failed: {last_line(ended.said)}" if ended.returncode else ""
