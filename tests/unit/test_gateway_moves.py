"""A board that comes back otherwise than it went: another port, key or address. Real haproxy, keeper, conversations."""

import fcntl
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.fleet.gateway import drain
from deploy.fleet.gateway.offers import Unoffered
from deploy.hosts.snapshot import Snapshot
from deploy.onboard.gateway import board_names, rotate
from deploy.onboard.gateway.board_table import BoardEntry, BoardTable, board_told, table_from_json
from deploy.onboard.gateway.keeper import Keeper
from deploy.onboard.gateway.leases import RETURNING, Leases
from deploy.onboard.gateway.rotate import read_board_keys
from deploy.onboard.gateway.runtime_api import ask_haproxy, board_counters, board_place, server_rows
from deploy.vm.ports import free_ports
from tests.unit.gateway_board import Board
from tests.unit.gateway_run import command, out, rotation_of
from tests.unit.known_host import KnownHost
from tests.unit.running_gateway import CLIENT_KEY, RunningGateway, await_true, chat, entry, running


def move(board: Board, key: str) -> None:
    """Starts it anew, at another port and with another key."""
    board.stop()
    (board.port,), board.key = free_ports(1), key
    board.start()


def test_a_board_with_another_port_and_key_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway judges it by what it is now. haproxy, which reads its old configuration anew, has it still."""
    boards = [Board("hall"), Board("kitchen")]
    with running(boards) as gateway, rotation_of(gateway, monkeypatch, boards) as rotation:
        with out(rotation, "hall"):
            move(boards[0], "another-key")
        with out(rotation, "kitchen"):
            boards[1].stop()
            assert gateway.answered_by("smol") == "hall"
            boards[1].start()
        assert table_from_json(gateway.places.table.read_text()).by_label["hall"] == entry(boards[0])
        reload(gateway)
        await_true(lambda: gateway.is_up(["hall", "kitchen"]))
        assert read_board_keys(gateway.places)["hall"] == "another-key"
        assert {gateway.answered_by("smol") for _ in range(8)} == {"hall", "kitchen"}


def reload(gateway: RunningGateway) -> None:
    """Has haproxy read its files anew. Its master listens a while after its worker."""
    before = said_by(gateway.places.worker_socket, "show info")
    await_true(lambda: said_by(gateway.places.master_socket, "reload") != ["-"])
    await_true(lambda: said_by(gateway.places.worker_socket, "show info") not in (["-"], before))


def said_by(socket_path: Path, command: str) -> list[str]:
    """What tells one process of haproxy from another; ["-"] while none listens."""
    try:
        lines = ask_haproxy(socket_path, command).splitlines()
    except OSError:
        return ["-"]
    return [line for line in lines if line.startswith("Pid:")]


def test_a_board_gets_a_key_that_had_none(monkeypatch: pytest.MonkeyPatch) -> None:
    boards = [Board("hall")]
    with running(boards) as gateway, rotation_of(gateway, monkeypatch, boards) as rotation:
        gateway.places.keys.write_text("")
        reload(gateway)
        with out(rotation, "hall"):
            boards[0].key = "its-first-key"
        assert gateway.answered_by("smol") == "hall"


def test_a_board_that_did_not_take_its_new_key_is_asked_with_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has the new key, and the server runs on: its switch was refused."""
    boards = [Board("hall"), Board("kitchen")]
    with running(boards) as gateway, rotation_of(gateway, monkeypatch, boards) as rotation:
        with pytest.raises(RuntimeError), out(rotation, "hall"):
            was, boards[0].key = boards[0].key, "a-key-that-its-server-has-not"
            monkeypatch.setattr(drain, "words_after", told_once(boards[0], was))
            raise RuntimeError
        await_true(lambda: {gateway.answered_by("smol") for _ in range(8)} == {"hall", "kitchen"})
        assert read_board_keys(gateway.places)["hall"] == was


def test_a_board_is_back_when_no_earlier_answer_of_the_keeper_takes_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """haproxy may hear that the board is out, which was true when it asked, after it was told to give it requests."""
    said = list[str]()

    def tick_until(holds: Callable[[], bool]) -> None:
        def ticked() -> bool:
            rotation.go_on([])
            return holds()

        await_true(ticked)

    with running([Board("hall"), Board("kitchen")]) as gateway:
        rotation = rotate.RotationRun(gateway.places, said.append)
        rotation.go_on(["out hall"])
        tick_until(lambda: "hall out 0" in said)
        monkeypatch.setattr(rotate, "SETTLING", 600.0)
        rotation.go_on(["back hall"])
        tick_until(lambda: gateway.is_up(["hall"]))
        rotation.go_on([])
        assert Leases(gateway.places.leases).phases() == {"hall": RETURNING}
        assert "hall back" not in said
        monkeypatch.setattr(rotate, "SETTLING", 0.0)
        tick_until(lambda: "hall back" in said)


def told_once(board: Board, key: str) -> Any:
    """What is told of the board now; from then on it has that key."""
    words = f"back {board.name} " + json.dumps(
        {"board": json.loads(BoardTable((entry(board),)).to_json())["boards"][0], "key": board.key}
    )
    board.key = key
    return lambda remote, label: words


def test_a_board_that_leaves_the_gateways_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """It listens on its loopback from now on."""
    boards = [Board("hall"), Board("kitchen")]
    with running(boards) as gateway, rotation_of(gateway, monkeypatch, boards, patience=0.5) as rotation:
        monkeypatch.setattr(drain, "words_after", lambda remote, label: f"{drain.GONE} {label}")
        with out(rotation, "hall"):
            boards[0].stop()
        with out(rotation, "kitchen"):
            pass
        boards[0].start()
        await_true(lambda: not Leases(gateway.places.leases).phases())


def test_a_run_tells_what_a_board_is_after_its_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    board, now = KnownHost(Snapshot()), BoardEntry("hall", "10.0.0.1", 8080, "", (chat("smol"),))
    monkeypatch.setattr(drain, "read_board_key", lambda remote: "its-key")
    monkeypatch.setattr(drain, "offered_entry", lambda host: now)
    word, label, told = drain.words_after(board.remote, "hall").split(" ", 2)
    assert (word, label, board_told(told)) == ("back", "hall", (now, "its-key"))

    def refuse(host: object) -> BoardEntry:
        raise Unoffered("it listens on 127.0.0.1")

    monkeypatch.setattr(drain, "offered_entry", refuse)
    assert drain.words_after(board.remote, "hall") == "gone hall"


def test_a_board_that_haproxy_does_not_know_ends_no_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a deploy of a new board, where the operator's own haproxy.cfg was kept."""
    boards = [Board("hall")]
    with running(boards) as gateway, rotation_of(gateway, monkeypatch, boards) as rotation:
        more = BoardEntry("new", "127.0.0.1", 1, "", (chat("smol"),))
        gateway.places.table.write_text(BoardTable((entry(boards[0]), more)).to_json())
        with out(rotation, "new"):
            pass
        with out(rotation, "hall"):
            assert gateway.state_of("hall").startswith("DRAIN")
        assert gateway.is_up(["hall"])


def test_every_sign_of_life_is_answered_while_a_board_drains() -> None:
    """An SSH connection that is silent for a quarter of an hour is given up, and a drain may take longer."""
    boards = [Board("hall")]
    table = BoardTable(tuple(map(entry, boards)), drain_seconds=3000)
    with running(boards, table) as gateway:
        boards[0].pause = 3600.0
        client = socket.create_connection(("127.0.0.1", gateway.port))
        body = b'{"model": "smol"}'
        head = f"POST /v1/completions HTTP/1.1\r\nX-Api-Key: {CLIENT_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        await_true(lambda: boards[0].busy)
        process = subprocess.Popen(
            command(gateway.places), shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert process.stdin and process.stdout
        lines = iter(process.stdout.readline, b"")
        process.stdin.write(b"out hall\n")
        assert next(line for line in lines) == b"hall draining 1\n"
        for _ in range(3):
            process.stdin.write(b"\n")
            assert next(lines) == b"alive\n"
        process.stdin.close()
        process.wait()
        client.close()


def test_what_a_board_is_now_is_learnt_when_another_run_has_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    boards = [Board("hall"), Board("kitchen")]
    with running(boards) as gateway, rotation_of(gateway, monkeypatch, boards) as rotation:
        with gateway.places.lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with out(rotation, "hall"):
                move(boards[0], "another-key")
                threading.Timer(0.5, swap_and_unlock, (gateway.places.config, lock)).start()
            assert lock.closed, "it waited"
        assert read_board_keys(gateway.places) == {"hall": "another-key", "kitchen": "key-of-kitchen"}


def swap_and_unlock(config: Path, lock: Any) -> None:
    """What a load does last: the folder is another one, and was away for a moment."""
    config.rename(config.with_suffix(".old"))
    time.sleep(0.3)
    config.with_suffix(".old").rename(config)
    lock.close()


def test_a_name_is_followed_and_keeps_its_last_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """haproxy knows no address of it at its start."""
    hall, lab = Board("hall"), Board("lab")
    named = BoardEntry("lab", "lab.nowhere", lab.port, "", (chat("smol"),))
    with running([hall], BoardTable((entry(hall), named))) as gateway:
        assert not gateway.is_up(["lab"])
        keeper, known = Keeper(gateway.places), ["::1", "127.0.0.1"]

        def look_up(name: str, *_: Any, **__: Any) -> Any:
            if not known:
                raise socket.gaierror(socket.EAI_AGAIN, "nobody answers")
            families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in known]
            return [(family, 1, 6, "", (address, 0)) for family, address in zip(families, known, strict=True)]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        monkeypatch.setattr(board_names, "AGAIN_SECONDS", 0.05)

        def is_so(what: Callable[[], bool]) -> bool:
            keeper.look()
            return what()

        await_true(lambda: is_so(lambda: place_in_haproxy(gateway) == f"127.0.0.1:{lab.port}"))
        assert is_so(lambda: gateway.is_up(["lab"]))
        for now in (["127.0.0.2"], []):
            known[:] = now
            await_true(lambda: is_so(lambda: place_in_haproxy(gateway) == f"127.0.0.2:{lab.port}"))
        lab.stop()


def place_in_haproxy(gateway: RunningGateway) -> str:
    """Where haproxy asks lab."""
    return board_place(board_counters(server_rows(gateway.places), "lab"))
