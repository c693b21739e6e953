"""What a run leaves of its boards on a monitor, for the page: also of boards without an exporter, and of those that are
off.
"""

import json
import shlex
import time
from functools import partial
from typing import Any

from pyinfra import host, inventory
from pyinfra.api import FactBase, operation
from pyinfra.api.host import Host

from deploy.fleet.monitor.monitor_places import FLEET, OWNER
from deploy.fleet.monitor.watched_boards import WatchedBoard
from deploy.hosts.lock import TargetStep
from deploy.hosts.remote import Commands, Remote
from deploy.hosts.run_record import record_of
from deploy.onboard.monitor.fleet import left_in

VERSION = 1
Left = dict[str, Any]


class LeftBoards(FactBase[dict[str, Left]]):
    """What earlier runs left, by the boards' names."""

    @staticmethod
    def default() -> dict[str, Left]:
        return {}

    def command(self) -> str:
        return f"cat {FLEET} 2>/dev/null; true"

    def process(self, output: list[str]) -> dict[str, Left]:
        return left_in("\n".join(output))


@operation()
def leave_boards(boards: tuple[WatchedBoard, ...]) -> Commands:
    """Leaves the boards of the inventory: those of this run as it found or made them, the others as they stood."""
    there = host.get_fact(LeftBoards)
    reached = {one.name: one for one in inventory.get_active_hosts()}
    wanted = {
        board.name: {**there.get(board.name, {}), "kind": board.kind}
        | left_by_run(reached.get(board.name), there.get(board.name, {}))
        for board in boards
    }
    if wanted != there:
        yield TargetStep(partial(write_left, boards=wanted))


def left_by_run(board: Host | None, before: Left) -> Left:
    """What this run knows of a board. `when` is the time of the switch to its release, if a run of ours saw it."""
    record = record_of(board) if board else None
    if not record or record.after in ("", "none"):
        return {}
    switched = record.before != record.after
    when = int(time.time()) if switched and before.get("release") != record.after else before.get("when")
    rate = record.tokens_per_second or before.get("tokens_per_second")
    return {"model": record.model, "release": record.after, "tokens_per_second": rate, "when": when}


def write_left(remote: Remote, boards: dict[str, Left]) -> None:
    """Replaces the file in one step."""
    text = json.dumps({"version": VERSION, "boards": boards}, indent=1) + "\n"
    new = shlex.quote(f"{FLEET}.new")
    remote.feed(
        [text.encode()], f"umask 077; cat > {new} && chown {OWNER} {new} && chmod 640 {new} && mv -T {new} {FLEET}"
    )
