"""Clients of a gateway at work while something happens to its boards: all of them are upgraded, one does not come back
from its upgrade, one dies.

The gateway is one more simulated machine, with Debian's haproxy. The clients are OpenAI's own, in four processes, and
try nothing twice.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from deploy.controller.progress import say_line
from deploy.errors import BoardllamaError
from deploy.onboard.gateway.gateway_places import GatewayPlaces
from deploy.paths import REPO
from tests.certificates import Authority
from tests.fleet.apart import run_folder
from tests.fleet.boards import MOST_BOARDS, Board, Fleet
from tests.fleet.history import UnderLoad
from tests.fleet.rotation_watch import RotationWatch, answers_by_board, requests_now
from tests.fleet.tools import Work, deploy_reported, invoke_pyinfra

GATEWAY = Board(MOST_BOARDS + 8, "gateway", machine="x86_64")
PORT, CLIENT_KEY = 8443, "a-client-of-the-simulated-fleet"
PROCESSES, CLIENTS = 4, 3
# Of a model's boards, those that may be out at once; and requests of a board at a time. Both are the defaults.
OUT_SHARE, SLOTS = 0.25, 4
BOARD_DATA = {"server_host": "0.0.0.0", "api_key": "generate"}
PATIENCE_SECONDS = 120.0
UPGRADE, NOT_BACK, DEATH = "upgrade", "notback", "death"
LEFT = "did not come back into rotation: this board keeps its release"


@dataclass
class Load:
    """What became of the requests of all processes, once they have ended."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Site:
    """Boards behind a gateway."""

    fleet: Fleet
    boards: list[Board]
    authority: Authority

    @property
    def places(self) -> GatewayPlaces:
        """Where the gateway's sockets are."""
        return gateway_places()

    @property
    def most_out(self) -> int:
        """How many boards may be out at once."""
        return max(1, int(len(self.boards) * OUT_SHARE))

    def gateway_data(self) -> dict[str, Any]:
        """What the inventory says of the gateway, whose files are written first."""
        clients, certificate = run_folder() / "clients", run_folder() / "gateway.pem"
        clients.write_text(f"ann {CLIENT_KEY}\n")
        certificate.write_bytes(self.authority.pem.read_bytes() + (self.authority.folder / "key.pem").read_bytes())
        told = {"gateway_clients": str(clients), "gateway_certificate": str(certificate), "gateway_port": PORT}
        return GATEWAY.host_data() | told

    def deploy(self, work: Work) -> list[dict[str, Any]]:
        """Deploys to all boards and the gateway. Returns the report's rows."""
        hosts = {board.title: board.host_data() | BOARD_DATA for board in self.boards}
        called = invoke_pyinfra(hosts, work, {GATEWAY.title: self.gateway_data()})
        rows, _ = deploy_reported(called, self.fleet.boards, run_folder() / "under_load.log")
        return rows

    @contextmanager
    def load(self, model: str) -> Iterator[Load]:
        """Clients at work during the block, at the beginning of which every board has answered."""
        load, words = Load(), [f"https://{GATEWAY.address}:{PORT}", CLIENT_KEY, model, str(CLIENTS)]
        with ExitStack() as stack:
            processes = [stack.enter_context(self.clients(words)) for _ in range(PROCESSES)]
            self.await_answers(self.boards)
            yield load
            for process in processes:
                told = json.loads(process.communicate(timeout=PATIENCE_SECONDS)[0].splitlines()[-1])
                load.answered += told["answered"]
                load.failed += told["failed"]

    @contextmanager
    def clients(self, words: list[str]) -> Iterator["subprocess.Popen[str]"]:
        """A process of clients, which trust the gateway's certificate."""
        command = ["env", f"SSL_CERT_FILE={self.authority.pem}", sys.executable, "-m", "tests.unit.gateway_load"]
        pipe = subprocess.PIPE
        with subprocess.Popen([*command, *words], stdin=pipe, stdout=pipe, cwd=REPO, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def await_answers(self, boards: list[Board]) -> None:
        """Returns when each of the boards has answered a request from now on. Raises BoardllamaError."""
        before = answers_by_board(self.places)

        def have_answered() -> bool:
            now = answers_by_board(self.places)
            return all(now[board.title] > before[board.title] for board in boards)

        await_true(have_answered, "every board answers requests of the gateway")


def gateway_places() -> GatewayPlaces:
    """Where the gateway's sockets are, as the controller sees them. While the gateway is up."""
    return GatewayPlaces(runtime=GATEWAY.root / "run" / "boardllama-gateway")


def await_true(holds: Callable[[], bool], what: str) -> None:
    """Returns when it holds. Raises BoardllamaError, with `what` should hold, after PATIENCE_SECONDS."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > end:
            raise BoardllamaError(f"waited {PATIENCE_SECONDS:.0f} s in vain: {what}")
        time.sleep(0.1)


def judge_under_load(fleet: Fleet, work: Callable[[int], Work], happenings: list[str]) -> Iterator[UnderLoad]:
    """Makes the fleet's boards a site with a gateway, and has each of these HAPPENINGS happen to them. `work`: what
    boards shall have, by the value of a setting.
    """
    boards = list(fleet.boards)
    fleet.start([GATEWAY])
    authority = Authority(run_folder(), (GATEWAY.address,))
    authority.context()
    site = Site(fleet, boards, authority)
    require_good(site.deploy(work(40)))
    for number, name in enumerate(happenings, 41):
        one = HAPPENINGS[name](site, work(number))
        for line in (one.summary, *one.failed):
            say_line(f"fleet: {line}")
        yield one


def require_good(rows: list[dict[str, Any]]) -> None:
    """Raises BoardllamaError when the first deploy did not succeed everywhere."""
    if bad := [row for row in rows if not row["good"]]:
        raise BoardllamaError(f"{bad[0]['host']}: {bad[0]['verdict']}: {bad[0]['reason']}")


def upgrade_all(site: Site, work: Work) -> UnderLoad:
    """Another release for every board. No request fails, and few boards are out at once."""
    began = time.monotonic()
    with RotationWatch(site.places) as watch, site.load(work.model.name) as load:
        rows = site.deploy(work)
        site.await_answers(site.boards)
    good = all(row["verdict"] == "switched" for row in rows) and not load.failed and watch.most <= site.most_out
    return under_load(UPGRADE, site, load, watch, rows, began, good)


def lose_one(site: Site, work: Work) -> UnderLoad:
    """As before, but the gateway hears no more of the first board that is out. Those after it keep their release."""
    lost: list[Board] = []

    def strike(title: str) -> None:
        lost.extend(board for board in site.boards if board.title == title)
        lost[0].lose_sight_of(GATEWAY)

    began = time.monotonic()
    with RotationWatch(site.places, strike) as watch, site.load(work.model.name) as load:
        rows = site.deploy(work)
        site.await_answers([board for board in site.boards if board not in lost])
    if not lost:
        raise BoardllamaError("no board was ever out of the gateway's rotation")
    lost[0].see_again(GATEWAY)
    few = Counter(row["verdict"] for row in rows)["switched"] < site.most_out
    good = few and not load.failed and all(is_stopped(row, lost[0]) for row in rows)
    return under_load(NOT_BACK, site, load, watch, rows, began, good)


def is_stopped(row: dict[str, Any], lost: Board) -> bool:
    """Whether the run said of a board what it should: the lost one is missing, those after it keep their release."""
    if row["host"] == lost.title:
        return bool(row["verdict"] == "not back")
    return row["verdict"] == "switched" or LEFT in row["reason"]


def kill_one(site: Site, work: Work) -> UnderLoad:
    """A board loses its network in the middle of answers: the streams that it had are lost, and nothing else."""
    dying, others, began = site.boards[0], site.boards[1:], time.monotonic()
    with RotationWatch(site.places) as watch, site.load(work.model.name) as load:
        await_true(lambda: requests_now(site.places)[dying.title] > 1, f"{dying.title} answers several requests")
        dying.cut_off()
        await_true(lambda: dying.title in watch.out, f"the gateway notices that {dying.title} is gone")
        site.await_answers(others)
    had = [text for text in load.failed if text.startswith(f"Cut: a stream of {dying.title} ")]
    good = had == load.failed and len(had) <= SLOTS
    return under_load(DEATH, site, load, watch, [], began, good)


def under_load(
    happened: str, site: Site, load: Load, watch: RotationWatch, rows: list[dict[str, Any]], began: float, good: bool
) -> UnderLoad:
    """The record of it. `began`: time.monotonic() then."""
    return UnderLoad(
        happened=happened,
        boards=len(site.boards),
        clients=PROCESSES * CLIENTS,
        answered=load.answered,
        failed=load.failed,
        out=watch.most,
        verdicts=dict(Counter(row["verdict"] for row in rows)),
        wall=round(time.monotonic() - began, 1),
        as_expected=good,
    )


HAPPENINGS: Mapping[str, Callable[[Site, Work], UnderLoad]] = {
    UPGRADE: upgrade_all,
    NOT_BACK: lose_one,
    DEATH: kill_one,
}
