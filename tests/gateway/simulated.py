"""A gateway before boards of the simulated fleet, for programs that are run as `python -m tests.gateway.NAME SUITE`."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from deploy.controller.files import folder_lock
from deploy.errors import BoardllamaError
from deploy.paths import REPO
from tests.fleet.apart import is_inside, run_inside
from tests.fleet.board_tree import ensure_board_tree, fleet_folder
from tests.fleet.boards import Board, Fleet
from tests.fleet.under_load import GATEWAY

# Debian's suites, and the haproxy of each.
HAPROXY = {"bookworm": "2.6", "trixie": "3.0"}


@contextmanager
def simulated_boards(suite: str, count: int) -> Iterator[Fleet]:
    """So many boards and the gateway, of that suite, until the end of the block."""
    with simulated_machines(suite, [*(Board(number) for number in range(1, count + 1)), GATEWAY]) as fleet:
        said = GATEWAY.run("haproxy", "-v")
        if f"version {HAPROXY[suite]}." not in said:
            raise BoardllamaError(f"the gateway of {suite} has another haproxy than {HAPROXY[suite]}: {said[:40]}")
        yield fleet


@contextmanager
def simulated_machines(suite: str, machines: list[Board]) -> Iterator[Fleet]:
    """These, of that suite, until the end of the block. An error shows the last words of the gateways among them."""
    fleet = Fleet(ensure_board_tree(suite))
    try:
        fleet.start(machines)
        yield fleet
    except BaseException:
        for gateway in (one for one in machines if GATEWAY.title in one.title):
            print(last_logs(gateway), file=sys.stderr, flush=True)
        raise
    finally:
        fleet.stop()


def last_logs(gateway: Board) -> str:
    """What a gateway's programs said last."""
    told = [f"journalctl --no-pager -n 80 -u {unit}" for unit in ("haproxy", "boardllama-keeper", "certbot")]
    commands = [*told, "tail -n 150 /var/log/letsencrypt/letsencrypt.log"]
    return "\n".join(
        f"== {gateway.title}: {command}\n{gateway.run('sh', '-c', f'{command} 2>&1; true')}" for command in commands
    )


def run_story(module: str, prepare: Callable[[], object], story: Callable[[str], None]) -> int:
    """Tells a story of the suite that the command line names, in namespaces. `prepare`: what takes a network.

    Returns the exit status: 1 after a line that says what was not as it should be.
    """
    (suite,) = sys.argv[1:]
    try:
        if is_inside():
            story(suite)
            return 0
        fleet_folder().mkdir(parents=True, exist_ok=True)
        with folder_lock(fleet_folder(), "fleet"):
            ensure_board_tree(suite)
            prepare()
            return run_inside(module, [suite])
    except (BoardllamaError, AssertionError) as error:
        print(f"{module}: {error}", file=sys.stderr)
        return 1


def require_story(module: str, suite: str) -> None:
    """Tells a story in a process of its own. Raises AssertionError with all that it said when something was wrong."""
    words = [sys.executable, "-m", f"tests.gateway.{module}", suite]
    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
