"""What a switch says while it runs, and how it ended: a file in /run, for whoever asked for the switch."""

import json
from contextlib import suppress
from enum import Enum
from typing import Any

from ..files import write_file
from ..json_parts import parse_json
from .releases import Release


class Outcome(Enum):
    """How a switch ended."""

    COMMITTED = "committed"
    SERVING = "serving"  # it was current already, and was restarted
    WAITING = "waiting for a model"
    REFUSED = "refused"
    FAILING = "failing"  # it was current already, and is not healthy
    BACK = "taken back"
    STRANDED = "taken back, and what was before is not healthy either"

    @property
    def is_good(self) -> bool:
        """True when the target now has the release that was asked for."""
        return self in (Outcome.COMMITTED, Outcome.SERVING, Outcome.WAITING)


class SwitchVerdict:
    """What a switch has said so far, and how it ended. places.verdict has it as JSON; /run forgets it at a boot."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.lines: list[str] = []
        self.write()

    def say(self, line: str) -> None:
        """Adds a line about a step, and prints it."""
        print(line, flush=True)
        self.lines.append(line)
        self.write()

    def end(self, outcome: Outcome, reason: str = "", rate: float | None = None) -> Outcome:
        """Adds the outcome and prints it. `rate`: tokens per second of a server that passed."""
        print(outcome.value, reason, flush=True)
        self.write(outcome=outcome.name, reason=reason, tokens_per_second=rate and round(rate, 2))
        return outcome

    def write(self, **end: Any) -> None:
        """Replaces the file in one step; `end` holds the outcome, when there is one."""
        with suppress(OSError):  # of a full /run: the target comes first
            write_file(
                self.release.places.verdict,
                json.dumps({"release": self.release.id, "lines": self.lines, **end}).encode(),
            )


def last_rate(release: Release) -> float | None:
    """Tokens per second of the last switch; None when that switch was to another release, or before the last boot."""
    try:
        verdict = parse_json(release.places.verdict.read_text())
    except (OSError, ValueError):
        return None
    return verdict.get("tokens_per_second") if verdict.get("release") == release.id else None
