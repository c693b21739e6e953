"""The boards that are not as they should be, in one run with those that are: what the run says of each."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.controller.progress import say_line
from tests.fleet.apart import run_folder
from tests.fleet.boards import MOST_BOARDS, Board, Fleet
from tests.fleet.far_link import FarLink
from tests.fleet.history import OddBoard
from tests.fleet.tools import Work, deploy_reported, invoke_pyinfra

Hosts = dict[str, dict[str, Any]]
OFF = [Board(MOST_BOARDS + number, f"off-{number}") for number in (1, 2, 3)]
FULL = Board(MOST_BOARDS + 4, "full", models=False)
X86 = Board(MOST_BOARDS + 5, "x86", machine="x86_64")
DYING = Board(MOST_BOARDS + 6, "dying")
FAR = Board(MOST_BOARDS + 7, "far")
ROUND_TRIP = 0.2
# The heading under which the run brings models.
MOMENT = "Bring the model"


@dataclass(frozen=True)
class Expected:
    """What a run should say of a board: its verdict, and words of the reason."""

    verdicts: tuple[str, ...]
    words: str = ""

    def is_met(self, row: dict[str, Any]) -> bool:
        return row["verdict"] in self.verdicts and self.words in row["reason"]


GOOD = Expected(("switched", "changed", "no change"))
EXPECTED = {
    **{board.title: Expected(("unreachable",)) for board in OFF},
    FULL.title: Expected(("failed",), "make room there"),
    X86.title: Expected(("refused",), "x86_64"),
    DYING.title: Expected(("lost",)),
}


def judge_odd_boards(fleet: Fleet, hosts: Hosts, work: Work) -> list[OddBoard]:
    """Brings new work to the fleet and to the odd boards. Returns what was said of these, and of each bad board."""
    fleet.start([FULL, X86, DYING, FAR])
    with FarLink(FAR.address, ROUND_TRIP) as link:
        odd = {board.title: board.host_data() for board in (*OFF, FULL, X86, DYING)}
        odd[FAR.title] = FAR.host_data() | {"ssh_hostname": "127.0.0.1", "ssh_port": link.port}
        rows, seconds = deploy_and_cut({**hosts, **odd}, fleet.boards, work, DYING.cut_off)
    say_line(f"fleet: {len(rows)} boards, odd ones among them: {seconds:.0f} s")
    found = [judged_row(row) for row in rows]
    return [one for one in found if one.board in odd or not one.as_expected]


def deploy_and_cut(
    hosts: Hosts, boards: list[Board], work: Work, strike: Callable[[], None]
) -> tuple[list[dict[str, Any]], float]:
    """A deploy, in which `strike` comes when models begin to be brought. Returns its report's rows, and seconds."""
    log = run_folder() / "odd.log"
    threading.Thread(target=strike_in_time, args=(log, strike), daemon=True).start()
    rows, costs = deploy_reported(invoke_pyinfra(hosts, work), boards, log)
    return rows, costs.wall


def strike_in_time(log: Path, strike: Callable[[], None]) -> None:
    """Waits for the moment in the log, then strikes."""
    while not log.exists() or MOMENT not in log.read_text(errors="replace"):
        time.sleep(0.1)
    time.sleep(0.5)
    strike()


def judged_row(row: dict[str, Any]) -> OddBoard:
    """What was said of a board, and whether that was expected."""
    expected = EXPECTED.get(row["host"], GOOD)
    reason = (row["reason"].splitlines() or [""])[0]
    return OddBoard(board=row["host"], verdict=row["verdict"], reason=reason, as_expected=expected.is_met(row))
