"""How long the steps of a run take, by the last run of the same kind: the only source of a time that is left.

A step of which nothing is known, or that takes longer than the last time, has no time left to tell: no figure is better
than a wrong one.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from deploy.controller.progress import whole_duration
from deploy.onboard.files import write_file
from deploy.onboard.json_parts import parse_json
from deploy.paths import cache_dir


@dataclass
class StepTimes:
    """Seconds of each step by its name, in order. `before`: of the last run that came to its end; `now`: of this one.

    `file` keeps them; without a file nothing is known and nothing is kept.
    """

    file: Path | None = None
    before: dict[str, float] = field(default_factory=dict)
    now: dict[str, float] = field(default_factory=dict)

    @staticmethod
    def of_run(*kind: str) -> "StepTimes":
        """The times of runs of this kind: all that decides which steps a run has, and how large they are."""
        name = hashlib.sha256("\n".join(kind).encode()).hexdigest()[:16]
        file = cache_dir() / "step-times" / f"{name}.json"
        before: dict[str, float] = {}
        with suppress(OSError, ValueError, TypeError, AttributeError):
            before = {str(step): float(seconds) for step, seconds in parse_json(file.read_text()).items()}
        return StepTimes(file, before)

    def add(self, step: str, seconds: float) -> None:
        """Counts a step that has ended."""
        self.now[step] = round(self.now.get(step, 0.0) + seconds, 1)

    def left_text(self, step: str, seconds: float) -> str:
        """What is said of the time left, `seconds` after the step's beginning; empty when nothing is known."""
        seconds += self.now.get(step, 0.0)
        if seconds >= self.before.get(step, 0.0):
            return ""
        left = self.before[step] - seconds
        later = sum(took for name, took in self.before.items() if name != step and name not in self.now)
        end = f", {whole_duration(left + later)} to the end" if later >= 1 else ""
        return f"; about {whole_duration(left)} left{end}"

    def keep(self) -> None:
        """Keeps the times of this run, which has come to its end, for the next one."""
        if self.file:
            with suppress(OSError):  # a full disk must not fail what has succeeded
                write_file(self.file, f"{json.dumps(self.now)}\n".encode())
