"""Models that travel once: torrents, the tracker, a web server of the site, limits, and what becomes of lies."""

import hashlib
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.host import Host

from deploy.fleet import sharing
from deploy.fleet.sharing import board_script
from deploy.fleet.sharing.once import Once
from deploy.fleet.sharing.peers import Peers, own_address
from deploy.fleet.sharing.site import SiteCache, fill_cache
from deploy.fleet.sharing.torrent import PIECE, bencode, torrent_bytes
from deploy.fleet.sharing.tracker import Swarms
from deploy.hosts.carriage import AS_EVER, Carriage, NotThisWay, Pace, Turns, way_of
from deploy.hosts.facts import Stored
from deploy.hosts.remote import Remote
from deploy.hosts.snapshot import Snapshot
from deploy.hosts.store import BigFile, StoreError, deliver_files
from deploy.stages.model import end_sharing, stored_models
from tests.unit.known_host import KnownHost
from tests.unit.local_target import OWNER, LocalTarget, local
from tests.unit.test_settings import refused, told

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


class TestTorrent:
    def test_values_are_encoded_as_the_standard_says(self) -> None:
        assert bencode({b"spam": [b"a", -3], b"cow": b"moo"}) == b"d3:cow3:moo4:spaml1:ai-3eee"

    def test_each_piece_has_its_hash_and_no_tracker_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "model").write_bytes(b"a" * PIECE + b"b")
        made = torrent_bytes(tmp_path / "model")
        assert hashlib.sha1(b"a" * PIECE).digest() + hashlib.sha1(b"b").digest() in made
        assert b"7:privatei1e" in made
        assert b"announce" not in made


class TestTracker:
    ASKED = "info_hash=%01%ff%20&port=6881&left=0"

    def test_a_board_hears_of_the_others_and_not_of_itself(self) -> None:
        peers = Swarms()
        assert b"5:peers0:" in peers.answer(self.ASKED, "10.0.0.1", "10.0.0.9")
        answer = peers.answer(self.ASKED, "10.0.0.2", "10.0.0.9")
        assert b"5:peers6:" + bytes([10, 0, 0, 1]) + (6881).to_bytes(2, "big") in answer

    def test_what_this_machine_has_is_told_by_the_address_that_the_board_knows(self) -> None:
        peers = Swarms()
        peers.answer(self.ASKED, "127.0.0.1", "127.0.0.1")
        assert bytes([10, 0, 0, 9]) in peers.answer(self.ASKED, "10.0.0.2", "10.0.0.9")

    def test_who_left_is_named_to_nobody(self) -> None:
        peers = Swarms()
        peers.answer(self.ASKED, "10.0.0.1", "10.0.0.9")
        peers.answer(f"{self.ASKED}&event=stopped", "10.0.0.1", "10.0.0.9")
        assert b"5:peers0:" in peers.answer(self.ASKED, "10.0.0.2", "10.0.0.9")

    def test_files_are_kept_apart(self) -> None:
        peers = Swarms()
        peers.answer(self.ASKED, "10.0.0.1", "10.0.0.9")
        assert b"5:peers0:" in peers.answer(self.ASKED.replace("%01", "%02"), "10.0.0.2", "10.0.0.9")

    @pytest.mark.parametrize("query", ["", "port=6881", "info_hash=x&port=many"])
    def test_no_question_is_an_error(self, query: str) -> None:
        with pytest.raises((KeyError, ValueError)):
            Swarms().answer(query, "10.0.0.1", "10.0.0.9")


class Store(BaseHTTPRequestHandler):
    """A web server that takes files, as nginx with dav_methods PUT does."""

    held: dict[str, bytes]
    puts: int
    refuses = False

    def log_message(self, format: str, *arguments: object) -> None:
        """Keeps no log."""

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer(200, self.held[self.path]) if self.path in self.held else self.answer(404)

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        type(self).puts += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.refuses:
            self.held[self.path] = body
        self.answer(507 if self.refuses else 201)


@contextmanager
def web_server(held: dict[str, bytes]) -> Iterator[tuple[str, type[Store]]]:
    """A server on the loopback with these files, and its address."""
    kind = type("Holding", (Store,), {"held": held, "puts": 0})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fill_cache.forget()
        yield f"http://127.0.0.1:{server.server_port}/models", kind
        server.shutdown()


class TestSite:
    def test_one_copy_leaves_the_controller(self, board: LocalTarget, file: BigFile) -> None:
        with web_server({}) as (address, store):
            for name in ("one", "two"):
                own = BigFile(file.source, f"{file.dest}-{name}", file.sha256, file.size, owner=OWNER)
                deliver_files(board, [own], by(SiteCache(address, 0)))
                assert Path(own.dest).read_bytes() == CONTENT
            assert store.puts == 1

    def test_a_server_that_lies_is_named(self, board: LocalTarget, file: BigFile) -> None:
        with web_server({f"/models/{file.sha256}": b"x" * len(CONTENT)}) as (address, _):
            deliver_files(board, [file], by(SiteCache(address, 0)))
            assert f"model.gguf: what {address} had brought was damaged; bringing all of it" in board.said
        assert Path(file.dest).read_bytes() == CONTENT

    def test_without_the_server_all_comes_over_ssh(self, board: LocalTarget, file: BigFile) -> None:
        fill_cache.forget()
        deliver_files(board, [file], by(SiteCache("http://127.0.0.1:9/models", 0)))
        assert Path(file.dest).read_bytes() == CONTENT
        assert board.said[0].startswith("model.gguf: not from http://127.0.0.1:9/models, but over SSH:")

    def test_a_server_that_takes_nothing_is_asked_once(self, board: LocalTarget, file: BigFile) -> None:
        with web_server({}) as (address, store):
            store.refuses = True
            for name in ("one", "two"):
                own = BigFile(file.source, f"{file.dest}-{name}", file.sha256, file.size, owner=OWNER)
                deliver_files(board, [own], by(SiteCache(address, 0)))
                assert Path(own.dest).read_bytes() == CONTENT, "over SSH"
            assert store.puts == 1


def test_a_board_behind_another_machine_takes_no_part() -> None:
    host: Any = Host.__new__(Host)
    host.connector = None
    with pytest.raises(NotThisWay, match="not reached by an IPv4 address of its own network"):
        own_address(host)


def test_a_site_needs_its_server() -> None:
    assert "distribution is 'site' and site_cache is ''" in refused(distribution="site")
    assert "site_cache is 'ftp://x': must be an http(s) address" in refused(site_cache="ftp://x")
    assert told(distribution="site", site_cache="http://cache.example/models").distribution == "site"


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
