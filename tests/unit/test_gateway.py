"""One address before several boards: real haproxy, real connections."""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import requests
from pyinfra.api.host import Host

from deploy.errors import BoardllamaError
from deploy.fleet.gateway import gateway_stage
from deploy.fleet.gateway.haproxy_files import haproxy_files
from deploy.hosts.offer import Offer, note_offer
from deploy.onboard.gateway.board_table import BoardEntry, BoardTable, ServedModel, table_from_json
from deploy.onboard.gateway.gateway_places import GatewayPlaces
from tests.unit.gateway_board import Board
from tests.unit.running_gateway import (
    CLIENT_KEY,
    NAMES,
    RunningGateway,
    await_true,
    chat,
    entry,
    gateway_settings,
    running,
)

VECTORS = ServedModel("org/mini model", "mini.gguf", "embed", 4)


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningGateway]:
    """Before two boards with a chat model, one of which has another one for embeddings, too."""
    boards = [Board("hall"), Board("kitchen")]
    table = BoardTable((entry(boards[0]), entry(boards[1], chat("smol"), VECTORS)), 60, 0.25, 600)
    with running(boards, table, gateway_body=65_536) as made:
        yield made


def error_of(answer: requests.Response) -> tuple[int, str]:
    """Status and message of an error in the shape of OpenAI's API."""
    return answer.status_code, str(answer.json()["error"]["message"])


def test_the_model_of_the_body_says_which_boards_may_answer(gateway: RunningGateway) -> None:
    assert {gateway.answered_by("smol") for _ in range(6)} == {"hall", "kitchen"}
    assert {gateway.answered_by("org/mini model") for _ in range(6)} == {"kitchen"}
    assert gateway.answered_by("mini.gguf") == "kitchen", "the name of its file is a name of it"


def test_a_model_is_found_behind_a_long_prompt(gateway: RunningGateway) -> None:
    """As OpenAI's own client writes it: the messages first."""
    body = {"messages": [{"role": "user", "content": "x" * 60_000}], "model": "org/mini model"}
    assert gateway.ask("/v1/chat/completions", body).json()["choices"][0]["text"] == "kitchen"


def test_a_body_that_is_too_long_is_told_the_bound(gateway: RunningGateway) -> None:
    for size in (70_000, 400_000):
        answer = gateway.ask("/v1/chat/completions", {"messages": "x" * size, "model": "smol"})
        assert error_of(answer) == (413, answer.json()["error"]["message"])
        assert "at most 65536 bytes (gateway_body)" in answer.text


def test_an_unknown_model_is_told_which_there_are(gateway: RunningGateway) -> None:
    answer = gateway.ask("/v1/chat/completions", {"messages": [], "model": 'gpt"5\n'})
    assert error_of(answer) == (404, 'the model gpt"5\n is not served here: name one of org/mini model, smol')
    assert answer.json()["error"]["code"] == "model_not_found"
    assert error_of(gateway.ask("/v1/chat/completions", {"messages": []}))[0] == 400


def test_the_models_are_listed_and_health_needs_no_key(gateway: RunningGateway) -> None:
    listed = gateway.ask("/v1/models").json()["data"]
    assert [model["id"] for model in listed] == ["org/mini model", "smol"]
    assert requests.get(f"{gateway.url}/health", timeout=5).json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/slots/0?action=erase", "/props", "/v1x"])
def test_what_belongs_to_one_board_is_not_passed_on(gateway: RunningGateway, path: str) -> None:
    assert gateway.ask(path, {"model": "smol"}).status_code == 404


@pytest.mark.parametrize("headers", [{"Authorization": ""}, {"Authorization": "Bearer wrong"}, {"X-Api-Key": "wrong"}])
def test_nobody_is_let_in_without_a_key_of_the_gateway(gateway: RunningGateway, headers: dict[str, str]) -> None:
    answer = requests.get(f"{gateway.url}/v1/models", headers=headers, timeout=5)
    assert error_of(answer) == (401, "Invalid API Key")


def test_the_log_names_the_client_and_no_log_has_a_key(gateway: RunningGateway) -> None:
    gateway.answered_by("smol", key="", headers={"Authorization": "", "X-Api-Key": CLIENT_KEY})
    await_true(lambda: "client=ann model=smol model-smol/" in gateway.log.read_text())
    assert CLIENT_KEY not in gateway.log.read_text() and "key-of-" not in gateway.log.read_text()
    assert CLIENT_KEY not in "".join(path.read_text() for path in gateway.places.config.iterdir())


def test_each_board_gets_its_own_key_and_never_the_clients() -> None:
    boards = [Board("hall"), Board("kitchen")]
    with running(boards) as gateway:
        for _ in range(4):
            gateway.answered_by("smol", headers={"X-Boardllama-Board": "hall"})
        for board in boards:
            assert {key for model, key, _ in board.asked if model} == {f"Bearer {board.key}"}
            assert len(board.asked) >= 2


def test_no_board_has_more_requests_than_slots_and_the_rest_wait() -> None:
    boards = [Board("hall", slots=2), Board("kitchen", slots=1)]
    with running(boards) as gateway, ThreadPoolExecutor(12) as clients:
        answers = list(clients.map(lambda _: gateway.answered_by("smol"), range(24)))
        assert sorted(set(answers)) == ["hall", "kitchen"]
        assert [board.most for board in boards] == [2, 1]


def test_who_finds_the_queue_full_is_told_when_to_come_again() -> None:
    board = Board("hall", slots=1)
    with running([board], gateway_queue=1) as gateway, ThreadPoolExecutor(3) as clients:
        board.mute = True  # so the slot stays taken, however late the others come
        waiting = [clients.submit(gateway.answered_by, "smol") for _ in range(2)]
        await_true(lambda: gateway.queued == 1)
        answer = gateway.ask("/v1/completions", {"model": "smol"})
        status, said = error_of(answer)
        assert status == 503 and int(answer.headers["Retry-After"]) >= 1
        assert said.endswith(f"try again in {answer.headers['Retry-After']} s")
        board.mute = False
        assert [one.result() for one in waiting] == ["hall", "hall"]


def test_who_hangs_up_frees_the_place_in_the_queue_and_the_slot() -> None:
    board = Board("hall", slots=1)
    with running([board]) as gateway, ThreadPoolExecutor(3) as clients:
        board.mute = True
        answered = clients.submit(gateway.answered_by, "smol", timeout=5)
        await_true(lambda: board.asked)
        queued = clients.submit(gateway.answered_by, "smol", timeout=1)
        await_true(lambda: gateway.queued == 1)
        assert queued.exception()
        await_true(lambda: gateway.queued == 0)
        patient = clients.submit(gateway.answered_by, "smol")
        assert answered.exception()
        await_true(lambda: board.left)
        board.mute = False
        assert patient.result() == "hall"
        assert len(board.asked) == 2, "who left the queue never came to the board"


def test_a_board_that_dies_costs_no_request_that_had_no_answer_yet() -> None:
    boards = [Board("hall"), Board("kitchen")]
    with running(boards) as gateway, ThreadPoolExecutor(8) as clients:
        boards[0].pause = boards[1].pause = 1.0
        waiting = [clients.submit(gateway.answered_by, "smol") for _ in range(8)]
        await_true(lambda: boards[0].busy >= 2)
        boards[0].stop()
        assert {one.result() for one in waiting} <= {"hall", "kitchen"}
        assert {gateway.answered_by("smol") for _ in range(4)} == {"kitchen"}


def test_without_any_board_clients_are_told_when_to_come_again() -> None:
    board = Board("hall")
    with running([board]) as gateway:
        board.stop()
        answer = gateway.ask("/v1/completions", {"model": "smol"})
        assert error_of(answer)[0] == 503 and int(answer.headers["Retry-After"]) >= 1


def test_a_session_stays_with_its_board() -> None:
    boards = [Board(name) for name in ("hall", "kitchen", "lab")]
    with running(boards, gateway_session_header="X-Session-Id") as gateway:
        by_session = {
            session: {gateway.answered_by("smol", headers={"X-Session-Id": session}) for _ in range(3)}
            for session in map(str, range(6))
        }
        assert all(len(answered) == 1 for answered in by_session.values())
        assert len(set.union(*by_session.values())) > 1


def test_haproxy_takes_odd_names_and_boards_without_an_address_yet(tmp_path: Path) -> None:
    odd = [chat("a b%[rand]"), chat('say "x"\\'), chat("a-b%[rand]"), chat("模型")]
    boards = [
        BoardEntry("@docker/x", "fd00::1", 1, "", tuple(odd)),
        BoardEntry("b.local", "b.nowhere", 2, "", (odd[0],)),
    ]
    settings = gateway_settings(tmp_path, gateway_session_header="X-Session-Id", gateway_host="::")
    for name, text in haproxy_files(settings, BoardTable(tuple(boards)), GatewayPlaces(), NAMES, "root").items():
        (tmp_path / name).write_bytes(text)
    (tmp_path / "boards.map").touch()
    done = subprocess.run(
        ["/usr/sbin/haproxy", "-c", "-C", tmp_path, "-f", "haproxy.cfg"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_two_boards_that_haproxy_would_take_for_one_are_refused(tmp_path: Path) -> None:
    boards = tuple(BoardEntry(name, "127.0.0.1", 1, "", (chat("smol"),)) for name in ("a@b", "a/b"))
    with pytest.raises(BoardllamaError, match="a@b and a/b are both a-b to haproxy: give one another name"):
        haproxy_files(gateway_settings(tmp_path), BoardTable(boards), GatewayPlaces(), NAMES)


def test_a_table_is_read_as_it_was_written() -> None:
    table = BoardTable((BoardEntry("a", "b", 1, "", (chat("smol"), VECTORS)),), 1.0, 0.5, 2.0)
    assert table_from_json(table.to_json()) == table
    for text in ("[]", json.dumps({"version": 2}), json.dumps({"version": 1, "boards": [{}]}), "{"):
        with pytest.raises(ValueError):
            table_from_json(text)


def test_what_a_channel_offers_is_no_board_of_a_gateway() -> None:
    """A host of the inventory may have both in its data."""
    kind = SimpleNamespace(connector_data={})
    note_offer(cast(Host, kind), cast(Offer, "a release"))
    assert gateway_stage.ENTRY not in kind.connector_data
