"""Models that travel once: torrents, the tracker, a web server of the site, limits, and what becomes of lies."""

import hashlib
import re
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.host import Host

from deploy.fleet import sharing
from deploy.fleet.sharing import board_script
from deploy.fleet.sharing.once import Once
from deploy.fleet.sharing.peers import Peers, own_address
from deploy.fleet.sharing.site import SiteCache
from deploy.hosts.carriage import AS_EVER, Carriage, NotThisWay, Pace, Turns, way_of
from deploy.hosts.facts import Stored
from deploy.hosts.remote import Remote
from deploy.hosts.snapshot import Snapshot
from deploy.hosts.store import BigFile, StoreError, deliver_files
from deploy.stages.model import end_sharing, stored_models
from tests.unit.known_host import KnownHost
from tests.unit.local_target import OWNER, LocalTarget, local
from tests.unit.test_settings import told

CONTENT = bytes(range(256)) * 8000


@pytest.fixture
def file(tmp_path: Path) -> BigFile:
    """A file to bring."""
    source = tmp_path / "controller.gguf"
    source.write_bytes(CONTENT)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    return BigFile(source, str(tmp_path / "board" / "model.gguf"), sha256, len(CONTENT), owner=OWNER)


@pytest.fixture
def board() -> LocalTarget:
    """A shell of this machine."""
    return LocalTarget(local)


class Told:
    """A way that does what a test says. `origin`: whom the board is told to have it from."""

    origin = "10.0.0.7"

    def __init__(self, fetch: Callable[[BigFile], None]) -> None:
        self.fetch, self.asked = fetch, 0

    def fetch_file(self, remote: Remote, file: BigFile) -> None:
        self.asked += 1
        self.fetch(file)

    def end_fetching(self, remote: Remote) -> None:
        """Nothing was left running."""


def by(way: Any) -> Carriage:
    return Carriage(way, Pace(0), Turns(0))


def arrive(content: bytes) -> Callable[[BigFile], None]:
    """Has that content arrive where the board expects the file."""

    def write(file: BigFile) -> None:
        Path(file.part_path).write_bytes(content)

    return write


class TestWay:
    def test_what_came_by_the_way_is_not_sent(self, board: LocalTarget, file: BigFile) -> None:
        deliver_files(board, [file], by(Told(arrive(CONTENT))))
        assert Path(file.dest).read_bytes() == CONTENT
        assert board.fed < 100
        assert "model.gguf: came from 10.0.0.7" in board.said

    def test_a_lie_is_caught_by_the_hash_and_named(self, board: LocalTarget, file: BigFile) -> None:
        way = Told(arrive(CONTENT[:-1] + b"x"))
        deliver_files(board, [file], by(way))
        assert Path(file.dest).read_bytes() == CONTENT
        assert "model.gguf: what 10.0.0.7 had brought was damaged; bringing all of it" in board.said
        assert way.asked == 1

    def test_who_cannot_gets_it_over_ssh(self, board: LocalTarget, file: BigFile) -> None:
        def refuse(_file: BigFile) -> None:
            raise NotThisWay("aria2 cannot be installed there")

        deliver_files(board, [file], by(Told(refuse)))
        assert Path(file.dest).read_bytes() == CONTENT
        assert "model.gguf: not from 10.0.0.7, but over SSH: aria2 cannot be installed there" in board.said

    def test_no_way_is_asked_for_what_has_no_room(self, board: LocalTarget, file: BigFile) -> None:
        way = Told(arrive(CONTENT))
        huge = BigFile(file.source, file.dest, file.sha256, 1 << 60, owner=OWNER)
        with pytest.raises(StoreError, match="must stay free"):
            deliver_files(board, [huge], by(way))
        assert way.asked == 0


class TestLimits:
    def test_all_who_share_a_pace_share_its_bytes(self) -> None:
        pace, began = Pace(1_000_000), time.monotonic()
        for _ in range(4):
            pace.wait_for(50_000)
        assert time.monotonic() - began >= 0.15

    def test_no_limit_waits_for_nothing(self) -> None:
        assert AS_EVER.pace.due == 0
        AS_EVER.pace.wait_for(1 << 60)
        assert AS_EVER.pace.due == 0

    def test_a_host_waits_for_its_turn_unless_the_holder_is_silent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        silent: list[str] = []
        monkeypatch.setattr("deploy.hosts.carriage.is_quiet", lambda host: host in silent)
        turns: Any = Turns(1)
        entered = threading.Event()

        def enter() -> None:
            with turns.turn_of("second"):
                entered.set()

        with turns.turn_of("first"):
            second = threading.Thread(target=enter)
            second.start()
            assert not entered.wait(0.5)
            silent.append("first")
            assert entered.wait(10)
            second.join()


def test_a_board_behind_another_machine_takes_no_part() -> None:
    host: Any = Host.__new__(Host)
    host.connector = None
    with pytest.raises(NotThisWay, match="not reached by an IPv4 address of its own network"):
        own_address(host)


def test_what_many_ask_for_at_once_is_done_once() -> None:
    done: list[int] = []

    @Once
    def work(number: int) -> int:
        time.sleep(0.05)
        done.append(number)
        return len(done)

    threads = [threading.Thread(target=work, args=(7,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [7]
    assert work(8) == 2


def test_what_failed_once_is_not_tried_again() -> None:
    tried: list[int] = []

    @Once
    def work() -> int:
        tried.append(1)
        raise OSError("no room for the torrent")

    for _ in range(3):
        with pytest.raises(OSError, match="no room for the torrent"):
            work()
    assert len(tried) == 1


def test_a_peer_that_lied_is_named_by_what_aria2_says_of_it() -> None:
    """Recorded of aria2 1.36 with two peers, the second of which had other bytes."""
    said = (
        "11/29 08:07:35 [INFO] CUID#15 - From: 10.7.0.2:6881 piece index=15, begin=16384, length=16384\n\n"
        "11/29 08:07:35 [INFO] CUID#14 - From: 10.7.0.3:6883 piece index=15, begin=1032192, length=16384\n\n"
        "11/29 08:07:35 [INFO] CUID#14 - we got wrong piece. index=15\n"
    )
    script = Path(board_script.__file__).with_name("fetch_from_peers.sh").read_text()
    program = re.search(r"\| awk '(.+)'", script)
    assert program
    done = subprocess.run(["awk", program[1]], input=said, capture_output=True, text=True, check=True)
    assert done.stdout == "10.7.0.3:6883\n"


def test_a_board_says_who_lied_and_why_it_gives_up(
    board: LocalTarget, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(board_script, "HERE", tmp_path)
    (tmp_path / "script.sh").write_text("echo alive; echo liar 10.0.0.3:6881; echo fetched")
    board_script.run_fetching(board, "script.sh", [])
    assert board.said == ["10.0.0.3:6881 gave data that is not the model's: it was not taken"]
    (tmp_path / "script.sh").write_text("echo alive; echo nothing came for a minute; exit 1")
    with pytest.raises(NotThisWay, match="nothing came for a minute"):
        board_script.run_fetching(board, "script.sh", [])


sharing.offer_ways()


def test_what_gave_a_model_away_is_ended_where_the_run_brought_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path))
    settings = told(model="smoke", distribution="peers")
    assert len(KnownHost(Snapshot()).plans(end_sharing, settings)) == 1
    files = [file for model in stored_models(settings) for file in model.files]
    stored = {file.dest: Stored(file.size, file.mode, file.owner, file.sha256) for file in files}
    assert KnownHost(Snapshot(stored=stored)).plans(end_sharing, settings) == []


def test_ways_are_offered_by_the_names_of_the_setting() -> None:
    assert way_of(told(distribution="controller")) is None
    assert way_of(told(distribution="peers", bandwidth=2.5)) == Peers(2_500_000)
    assert way_of(told(distribution="site", site_cache="http://c/m/")) == SiteCache("http://c/m", 0)
