"""The front: a process of its own before two servers, asked by clients of every manner."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests

from deploy.onboard.front.request import model_named
from deploy.onboard.front.routes import Route, choose_route
from deploy.onboard.front.server import MOST_CLIENTS
from deploy.onboard.wire.message import BODY_BYTES, HEAD_BYTES
from tests.unit.front_process import SECONDS, NamedServer, RunningFront, await_true, running, waiting_client


@pytest.fixture
def front() -> Iterator[RunningFront]:
    """One whose servers have four slots each."""
    with running() as made:
        yield made


def test_a_request_goes_to_the_model_that_it_names_wherever_it_names_it(front: RunningFront) -> None:
    """The official clients write the model behind the messages."""
    long = {"messages": [{"role": "user", "content": "word " * 400_000}], "model": "mini"}
    assert front.answered_by("/v1/chat/completions", long) == "vectors"
    assert front.answered_by("/v1/chat/completions", {"model": "smol", "prompt": "mini"}) == "chat"
    assert front.answered_by("/v1/chat/completions", {"model": "mini.gguf"}) == "vectors"
    assert json.loads(front.vectors.asked[0][1]) == long


@pytest.mark.parametrize(
    ("path", "body", "server"),
    [
        ("/health", None, "chat"),
        ("/props", None, "chat"),
        ("/", None, "chat"),
        ("/completion", {"prompt": "a"}, "chat"),
        ("/v1/completions", {"prompt": "a", "model": "gpt-4"}, "chat"),
        ("/v1/chat/completions", {"messages": [{"model": "mini"}]}, "chat"),
        ("/v1/embeddings", {"input": "a"}, "vectors"),
        ("/v1/embeddings", {"input": "a", "model": "text-embedding-3-small"}, "vectors"),
        ("/v1/embeddings", {"input": "a", "model": "smol"}, "chat"),
        ("/v1/rerank", {"query": "a"}, "chat"),
        ("/metrics?model=mini", None, "vectors"),
        ("/metrics?a=b&model=%6dini.gguf", None, "vectors"),
        ("/metrics?model=other", None, "chat"),
    ],
)
def test_without_a_known_name_the_path_says_which(front: RunningFront, path: str, body: Any, server: str) -> None:
    assert front.answered_by(path, body) == server


def test_a_path_with_an_owner_is_its_owners_alone() -> None:
    routes = [Route("a", "", "chat", 1, 4), Route("o", "", "ollama", 2, 4, "/api/")]
    assert choose_route(routes, "/api/chat?x", b'{"model": "a"}').port == 2
    assert choose_route(routes, "/v1/embeddings", b'{"model": "o"}').port == 1


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (b'{"model":"a"}', "a"),
        (b' {\n "messages": [{"model": "b"}], "model" : "a\\u00e9" } ', "aé"),
        (b'{"x": "\\"model\\": \\"b\\"", "model": "a"}', "a"),
        (b'{"x": "\\\\", "model": "a"}', "a"),
        (b'{"model": "b", "model": "a"}', "a"),
        (b'{"x": "model", "y": ["model", "b"]}', None),
        (b'{"model": null}', None),
        (b'["model", "a"]', None),
        (b'{"model": "a', None),
        (b'{"x": "', None),
        (b"\xff\x00", None),
        (b"", None),
    ],
)
def test_the_model_is_the_text_of_the_outermost_key(body: bytes, model: str | None) -> None:
    assert model_named(body) == model


def test_what_a_client_carries_is_passed_on_and_what_is_the_fronts_is_not(front: RunningFront) -> None:
    answer = front.ask("/v1/completions", {"prompt": "a"}, headers={"Authorization": "Bearer sk-1", "X-Api-Key": "k"})
    head = front.chat.asked[0][0].decode()
    assert "\r\nAuthorization: Bearer sk-1\r\n" in head and "\r\nX-Api-Key: k\r\n" in head
    assert head.count("Connection: ") == 1 and "Connection: close\r\n" in head
    assert answer.headers["X-Own"] == "kept"


def test_models_are_listed_by_their_names_and_nothing_else(front: RunningFront) -> None:
    listed = front.ask("/v1/models").json()
    assert [one["id"] for one in listed["data"]] == [one["name"] for one in listed["models"]] == ["smol", "mini"]
    assert ".gguf" not in json.dumps(listed) and str(front.chat.port) not in json.dumps(listed)
    assert front.chat.asked == [], "it says so by itself"


def test_an_answer_comes_piece_by_piece(front: RunningFront) -> None:
    front.chat.hold.clear()
    threading.Timer(0.5, front.chat.hold.set).start()
    began = time.monotonic()
    assert front.answered_by("/v1/completions", {"stream": True}) == "chat"
    assert time.monotonic() - began < 5


def test_a_client_that_goes_away_ends_the_work_for_it(front: RunningFront) -> None:
    front.chat.hold.clear()
    with socket.create_connection(("127.0.0.1", front.port)) as client:
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        await_true(lambda: front.chat.asked)
    assert front.chat.gone.wait(SECONDS)


def test_a_body_in_chunks_is_passed_on_whole(front: RunningFront) -> None:
    pieces = iter([b'{"prompt": ', b'"a", ', b'"model": "mini"}'])
    answer = requests.post(f"{front.url}/v1/completions", data=pieces, timeout=SECONDS)
    assert answer.json() == {"server": "vectors"}
    assert json.loads(front.vectors.asked[0][1]) == {"prompt": "a", "model": "mini"}


def test_a_client_that_asks_whether_to_send_is_told_to(front: RunningFront) -> None:
    with socket.create_connection(("127.0.0.1", front.port), timeout=SECONDS) as client:
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET /health HTTP/2.0\r\n\r\n", 400),
        (b"GET /he alth HTTP/1.1\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nX : y\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nX: y\r\n folded\r\n\r\n", 400),
        (b"POST /a HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
        (b"POST /a HTTP/1.1\r\nContent-Length: +2\r\n\r\n{}", 400),
        (b"POST /a HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /a HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (b"GET /health HTTP/1.1\r\nX: " + b"y" * (HEAD_BYTES + 10), 431),
        (b"POST /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (BODY_BYTES + 1), 413),
    ],
)
def test_what_two_servers_could_read_differently_reaches_none(front: RunningFront, said: bytes, status: int) -> None:
    answer = front.say(said + b"GET /smuggled HTTP/1.1\r\n\r\n" if status == 400 else said)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == status
    assert front.chat.asked == []


def test_what_follows_a_body_is_no_request(front: RunningFront) -> None:
    answer = front.say(b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}GET /smuggled HTTP/1.1\r\n\r\n")
    assert answer.count(b"HTTP/1.1") == 1
    assert [body for _, body in front.chat.asked] == [b"{}"]


def test_a_body_that_is_too_large_is_refused_with_what_to_do(front: RunningFront) -> None:
    answer = front.ask("/v1/chat/completions", {"messages": "a" * BODY_BYTES})
    assert answer.status_code == 413
    assert answer.json()["error"]["message"].endswith("send a shorter text or a smaller picture")


def test_a_server_that_is_down_is_said_and_the_other_answers(front: RunningFront) -> None:
    front.chat.end()
    answer = front.ask("/v1/completions", {"prompt": "a"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert answer.json()["error"]["message"] == "the server of smol does not run now: try again in 10 s"
    assert front.answered_by("/v1/embeddings", {"input": "a"}) == "vectors"
    assert front.ask("/v1/models").status_code == 200, "the front itself is well"


def test_a_server_is_found_at_the_port_that_it_noted_at_its_last_start(front: RunningFront) -> None:
    """An operator edits config.json of a server, and restarts that server alone."""
    front.chat.end()
    moved = NamedServer("moved")
    front.started.write_text(f"127.0.0.1 {moved.port} /health\nrelease r1\n")
    assert front.answered_by("/v1/completions", {"prompt": "a"}) == "moved"
    moved.end()


def test_an_error_of_the_front_has_the_form_of_the_api_that_was_asked(front: RunningFront) -> None:
    front.ollama.end()
    for path, form in (("/api/chat", str), ("/v1/chat/completions", dict)):
        answer = front.say(b"POST %b HTTP/1.1\r\nContent-Length: 8000001\r\n\r\n" % path.encode())
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert isinstance(json.loads(answer.partition(b"\r\n\r\n")[2])["error"], form)
    assert front.ask("/api/chat", {}).json() == {"error": "the server of ollama does not run now: try again in 10 s"}


def test_what_is_more_than_the_slots_waits_and_is_told_when_to_come_again() -> None:
    with running(timeout=2, slots=1) as front, ExitStack() as stack:
        front.chat.hold.clear()
        first, second = (stack.enter_context(waiting_client(front)) for _ in range(2))
        answer = front.ask("/v1/completions", {})
        assert answer.status_code == 503 and int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["error"]["message"].startswith("smol works on 1 requests, and ")
        assert len(front.chat.asked) == 1, "the server is asked as much as it has slots for"
        assert front.answered_by("/v1/embeddings", {"input": "a"}) == "vectors"
        assert second.recv(100).startswith(b"HTTP/1.1 503")
        front.chat.hold.set()
        assert first.recv(100).startswith(b"HTTP/1.1 200")
        assert front.answered_by("/v1/completions", {}) == "chat"


def test_the_next_in_the_queue_gets_the_slot() -> None:
    with running(slots=1) as front, ExitStack() as stack:
        front.chat.hold.clear()
        clients = [stack.enter_context(waiting_client(front)) for _ in range(3)]
        clients[1].close()
        front.chat.hold.set()
        assert clients[0].recv(100).startswith(b"HTTP/1.1 200")
        assert clients[2].recv(100).startswith(b"HTTP/1.1 200")


def test_a_crowd_with_half_a_request_each_keeps_nobody_out_and_stays_small(front: RunningFront) -> None:
    half = b"POST /v1/completions HTTP/1.1\r\nContent-Length: 9000\r\n\r\n" + b"{" * 1000
    crowd = []
    for _ in range(MOST_CLIENTS + 100):
        client = socket.create_connection(("127.0.0.1", front.port), timeout=SECONDS)
        client.sendall(half)
        crowd.append(client)
    began = time.monotonic()
    assert front.answered_by("/v1/completions", {"prompt": "a"}) == "chat"
    assert time.monotonic() - began < 5
    assert front.memory < 25_000
    for client in crowd:
        client.close()


def test_pictures_of_many_clients_take_no_more_than_the_front_has(front: RunningFront) -> None:
    part = b"POST /v1/completions HTTP/1.1\r\nContent-Length: 7900000\r\n\r\n" + b"x" * 2_000_000
    with ExitStack() as stack:
        address = ("127.0.0.1", front.port)
        crowd = [stack.enter_context(socket.create_connection(address, timeout=SECONDS)) for _ in range(12)]
        for client in crowd:
            client.sendall(part)
        assert front.answered_by("/v1/embeddings", {"input": "a"}) == "vectors"
        assert any(client.recv(100).startswith(b"HTTP/1.1 503 ") for client in crowd), "and is told so"
    assert front.memory < 25_000
