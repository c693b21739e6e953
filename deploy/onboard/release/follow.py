"""Begins a switch in a unit of its own, which outlives whoever asked for it, and reports what it says."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..json_parts import parse_json
from ..places import SWITCH_UNIT, Places
from ..server.health import Unhealthy
from .releases import Release
from .verdict import Outcome


def begin_switch(release: Release) -> None:
    """Has systemd run the switch. Raises Unhealthy while another switch runs, or when systemd refuses."""
    busy = subprocess.run(["systemctl", "is-active", "--quiet", SWITCH_UNIT], check=False)
    if busy.returncode == 0:
        raise Unhealthy("a switch is under way here: wait for it")
    release.places.verdict.unlink(missing_ok=True)
    done = subprocess.run(unit_command(release), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unhealthy(f"the switch cannot be started: {done.stderr.strip()}")


def unit_command(release: Release) -> list[str]:
    """The systemd-run command of the switch.

    The unit has one name on every target, so there is never a second switch. systemd begins a switch again that was
    killed, until it writes a verdict.
    """
    options = [
        "--property=Restart=on-abnormal",
        "--property=OOMScoreAdjust=-900",
        "--description=Switch to a release of boardllama",
    ]
    program = [str(release.folder / "boardllama"), "perform", release.id]
    return ["systemd-run", "--quiet", "--collect", f"--unit={SWITCH_UNIT}", *options, *program]


@dataclass
class Listener:
    """Repeats what a switch has written to its verdict file, each line once."""

    say: Callable[[str], None]
    said: int = 0

    def hear(self, text: str) -> dict[str, Any] | None:
        """Says each new line of the verdict file's text. Returns the verdict once it has an outcome, else None."""
        verdict: dict[str, Any] = parse_json(text or '{"lines": []}')
        for line in verdict["lines"][self.said :]:
            self.say(line)
        self.said = len(verdict["lines"])
        return verdict if "outcome" in verdict else None


def follow_switch(places: Places, say: Callable[[str], None]) -> bool:
    """Says what the switch says. Returns whether its verdict is good. Raises Unhealthy when it ends without one."""
    listener = Listener(say)
    while True:
        alive = subprocess.run(["systemctl", "is-active", SWITCH_UNIT], capture_output=True, check=False)
        if verdict := listener.hear(places.verdict.read_text() if places.verdict.exists() else ""):
            outcome = Outcome[verdict["outcome"]]
            say(f"{outcome.value} {verdict['reason']}".strip())
            return outcome.is_good
        if alive.returncode:
            raise Unhealthy(f"the switch ended without a verdict: journalctl -u {SWITCH_UNIT}")
        time.sleep(0.5)
