"""docs/api.md as data: its blocks by name, how typing each becomes a command that ends, and how a start fails."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from deploy.facts import UNIT
from deploy.paths import REPO
from tests.board.board import Board

PAGE = (REPO / "docs" / "api.md").read_text()
# Seconds: what ends by itself must have ended, a server started by hand must answer; then what never ends is ended.
DEADLINE = 180
LOOK = 5


@dataclass(frozen=True)
class Expected:
    """What a block does. `says`: regular expressions, each found in what it prints; `then`: what holds afterwards.

    `typed` is what the user types while it runs; `endless` until Ctrl-C; `serves` the port that it must answer on.
    """

    says: tuple[str, ...] = ()
    typed: str = ""
    endless: bool = False
    serves: int = 0
    then: Callable[[Board], bool] = lambda _board: True

    def command(self, block: str) -> str:
        """A shell command that runs the block as its user would, prints what it says, and ends."""
        run = f"bash -e -c {shlex.quote(block)}"
        if self.serves:
            return served(run, self.serves)
        if self.endless:
            return f"timeout --signal INT {LOOK} {run}; test $? -eq 124"
        return f"printf %s {shlex.quote(self.typed)} | timeout {DEADLINE} {run}"


def served(run: str, port: int) -> str:
    """Runs a server until it has answered a question; prints the answers, and who listens on the port."""
    curl = f"curl -fsS --retry {DEADLINE} --retry-delay 1 --retry-all-errors --max-time {DEADLINE}"
    url = f"http://localhost:{port}"
    return (
        f"timeout {DEADLINE} {run} > /tmp/by-hand.log 2>&1 & pid=$!;"
        f' {curl} {url}/health && {curl} {url}/v1/completions -d \'{{"prompt": "Hello", "max_tokens": 2}}\''
        f" && ss -ltnpH sport = :{port}; status=$?;"
        f" kill $pid; wait $pid; test $status -eq 0 || {{ cat /tmp/by-hand.log; exit $status; }}"
    )


def blocks() -> dict[str, str]:
    """Every bash block of the page, by the name in the comment on the line before it; nameless ones by their text."""
    found = re.findall(r"(?:^<!-- run: ([a-z-]+) -->\n)?^```bash\n(.*?)^```$", PAGE, re.M | re.S)
    return {name or block: block for name, block in found}


def table(first_cell: str) -> list[list[str]]:
    """The cells of the rows below the table head that begins with `first_cell`."""
    _, _, rest = PAGE.partition(f"\n| {first_cell} |")
    rows = rest.split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def journal(board: Board) -> list[str]:
    """What the service's last start said."""
    invocation = board.run(f"systemctl show --property InvocationID --value {UNIT}")
    return board.run(f"journalctl _SYSTEMD_INVOCATION_ID={invocation} -o cat --no-pager").splitlines()


def await_failure(board: Board) -> list[str]:
    """Status 78 within 30 s, and no second try. Returns the journal of that start."""
    board.run(f"timeout 30 sh -c 'until systemctl is-failed --quiet {UNIT}; do sleep 0.5; done'")
    assert board.run(f"systemctl show -p ExecMainStatus -p NRestarts --value {UNIT}").split() == ["78", "0"]
    return journal(board)
