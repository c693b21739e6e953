"""Boards leave haproxy's rotation for a deploy, and when they give no tokens: real haproxy, keeper, conversations."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

import pytest
from pyinfra.context import ctx_state

from deploy.fleet.gateway.drain import NotBack
from deploy.hosts.remote import Refused, Remote, remote_of
from deploy.hosts.snapshot import Snapshot
from deploy.onboard.gateway.board_table import BoardTable, table_from_json
from deploy.onboard.gateway.keeper import Seen, is_due, wait_seconds
from deploy.onboard.gateway.leases import OUT, Leases
from deploy.onboard.gateway.rotate import read_board_keys
from deploy.paths import REPO
from tests.unit.gateway_board import Board
from tests.unit.gateway_run import KnownBoard, command, out, rotation_of
from tests.unit.known_host import KnownHost
from tests.unit.running_gateway import CLIENT_KEY, RunningGateway, await_true, chat, entry, running


@contextmanager
def load(gateway: RunningGateway, clients: int) -> Iterator[dict[str, Any]]:
    """OpenAI's clients at work during the block; what became of their requests, after it."""
    words = [sys.executable, "-m", "tests.unit.gateway_load", gateway.url, CLIENT_KEY, "smol", str(clients)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPO, text=True) as process:
        assert process.stdout and process.stdin
        assert process.stdout.readline() == "at work\n"
        result: dict[str, Any] = {}
        try:
            yield result
        finally:
            process.stdin.close()
            result |= json.loads(process.stdout.readline())


def test_all_boards_are_upgraded_under_load_and_no_request_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is stopped at once when it is out, which would cut what it had, and comes back with another key."""
    boards = [Board(name) for name in ("hall", "kitchen", "lab", "shed")]
    table = BoardTable(tuple(map(entry, boards)), out_share=0.25, drain_seconds=60)
    with running(boards, table) as gateway, rotation_of(gateway, monkeypatch, boards) as rotation:
        gone, most = set[str](), list[int]()

        def upgrade(board: Board) -> None:
            with out(rotation, board.name):
                gone.add(board.name)
                most.append(len(gone))
                board.stop()
                time.sleep(0.3)
                board.key = f"new-key-of-{board.name}"
                board.start()
                gone.remove(board.name)

        with load(gateway, 10) as result:
            with ThreadPoolExecutor(4) as run:
                list(run.map(upgrade, boards))
            before = {board.name: len(board.asked) for board in boards}
            await_true(lambda: all(len(board.asked) > before[board.name] for board in boards))
        assert result["failed"] == [] and result["answered"] > 20
        assert most == [1, 1, 1, 1], "a quarter of four boards is out at once"
        assert read_board_keys(gateway.places)["lab"] == "new-key-of-lab"
        known = table_from_json(gateway.places.table.read_text())
        assert list(known.boards) == [entry(board) for board in boards]


def test_a_board_that_does_not_come_back_stops_the_boards_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    boards = [Board("hall"), Board("kitchen")]
    with running(boards) as gateway, rotation_of(gateway, monkeypatch, boards, patience=0.5) as rotation:
        with pytest.raises(NotBack, match=r"^gateway does not get an answer \(/v1/models"), out(rotation, "hall"):
            boards[0].stop()
        with pytest.raises(Refused, match="hall did not come back into rotation"), out(rotation, "kitchen"):
            pass
        boards[0].start()


def test_a_board_that_does_not_come_back_stops_a_board_that_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    boards, waiting = [Board("hall"), Board("kitchen")], KnownBoard("kitchen")
    table = BoardTable(tuple(map(entry, boards)), out_share=0.5, drain_seconds=60)

    def switch() -> None:
        with rotation.take_out(cast(Remote, waiting)):
            pass

    with running(boards, table) as gateway, rotation_of(gateway, monkeypatch, boards, patience=0.5) as rotation:
        with ThreadPoolExecutor(1) as run:
            with pytest.raises(NotBack), out(rotation, "hall"):
                turn = run.submit(switch)
                await_true(lambda: waiting.said == ["gateway: waits until fewer boards are out"])
                boards[0].stop()
            with pytest.raises(Refused, match="hall did not come back into rotation"):
                turn.result()
        await_true(lambda: gateway.is_up(["kitchen"]))
        boards[0].start()


def test_a_gateway_that_says_no_more_has_not_said_that_a_board_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    boards = [Board("hall"), Board("kitchen")]
    with running(boards) as gateway, rotation_of(gateway, monkeypatch, boards) as rotation:
        talk = rotation.talks["gateway"]
        assert talk
        with pytest.raises(NotBack, match="does not say whether it gives requests again"), out(rotation, "hall"):
            talk.talk.end()


def test_a_switch_that_fails_gives_its_board_back(monkeypatch: pytest.MonkeyPatch) -> None:
    boards = [Board("hall"), Board("kitchen")]
    with running(boards) as gateway, rotation_of(gateway, monkeypatch, boards) as rotation:
        with pytest.raises(RuntimeError), out(rotation, "hall"):
            assert gateway.state_of("hall").startswith("DRAIN")
            raise RuntimeError
        await_true(lambda: gateway.is_up(["hall"]))


def test_a_run_that_dies_leaves_its_board_out_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    boards = [Board("hall"), Board("kitchen")]
    with running(boards) as gateway:
        process = subprocess.Popen(
            command(gateway.places), shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert process.stdin and process.stdout
        process.stdin.write(b"out hall\n")
        lines = iter(process.stdout.readline, b"")
        assert any(line.startswith(b"hall out") for line in lines)
        process.stdin.close()
        process.wait()
        assert Leases(gateway.places.leases).phases() == {"hall": OUT}
        await_true(lambda: gateway.is_up(["hall"]))


def test_a_board_that_the_gateway_does_not_know_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    boards = [Board("hall")]
    with running(boards) as gateway, rotation_of(gateway, monkeypatch, boards) as rotation, out(rotation, "new"):
        assert gateway.is_up(["hall"])


def test_a_board_without_tokens_leaves_the_rotation_until_it_has_some() -> None:
    boards = [Board("hall"), Board("kitchen")]
    table = BoardTable(tuple(map(entry, boards)), ask_seconds=0.5)
    with running(boards, table) as gateway:
        boards[0].mute = True
        await_true(lambda: gateway.state_of("hall").startswith("DOWN"))
        assert gateway.answered_by("smol") == "kitchen"
        assert "hall gives no tokens: smol: /v1/completions was answered with nothing" in gateway.log.read_text()
        boards[0].mute = False
        await_true(lambda: gateway.is_up(["hall"]))


@pytest.mark.parametrize(
    ("why", "seen", "counters", "due"),
    [
        ("nobody asked it for long", Seen(0.0), {}, True),
        ("it answered lately", Seen(95.0), {}, False),
        ("it was asked lately", Seen(0.0, asked=50.0), {}, False),
        ("a question is under way", Seen(0.0, asking=True), {}, False),
        ("all its slots are taken", Seen(0.0), {"scur": "2"}, False),
        ("nothing listens there", Seen(0.0), {"check_status": "L4CON"}, False),
        ("without tokens it is asked soon again", Seen(0.0, asked=85.0, fault="x"), {"scur": "2"}, True),
    ],
)
def test_a_board_is_asked_for_a_token_when(why: str, seen: Seen, counters: dict[str, str], due: bool) -> None:
    row = {"scur": "0", "check_status": "L7OK"} | counters
    board = entry_without_server(chat("smol"))
    assert is_due(seen, board, row, 60.0, 100.0) is due, why


def entry_without_server(*offers: Any) -> Any:
    """A board of a table that nobody asks."""
    from deploy.onboard.gateway.board_table import BoardEntry

    return BoardEntry("hall", "127.0.0.1", 1, "", offers)


def test_answers_count_and_errors_do_not() -> None:
    seen = Seen(0.0)
    first = {"hrsp_2xx": "1", "hrsp_4xx": "0", "hrsp_5xx": "0", "bout": "100"}
    seen.note_counts(first, 1.0)
    seen.note_counts(first | {"hrsp_5xx": "1", "bout": "200"}, 2.0)
    assert seen.well == 1.0
    seen.note_counts(first | {"hrsp_5xx": "1", "bout": "300"}, 3.0)
    assert seen.well == 3.0, "a stream goes on"


def test_a_client_is_told_to_wait_for_those_before_it() -> None:
    (pool,) = BoardTable((entry_without_server(chat("smol", 4)),)).pools
    assert wait_seconds(pool, {"ttime": "8000", "qcur": "9"}) == 20
    assert wait_seconds(pool, {"ttime": "0", "qcur": "0"}) == 10
    assert wait_seconds(pool, {"ttime": "8000000", "qcur": "9"}) == 600


def test_a_gateway_outside_of_the_run_is_reached_as_its_data_says() -> None:
    """Not by the arguments of pyinfra's operations, of which no connection knows most."""
    gateway = KnownHost(Snapshot()).host
    gateway.inventory.host_data[gateway.name] = {"_sudo": True}
    remote = remote_of(gateway)
    assert remote.arguments.pop("_sudo") is True
    with ctx_state.use(gateway.state):
        assert remote.run("echo there").strip() == "there"
