"""Readers of what comes over the network: clients of a board, boards that report or share."""

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from io import StringIO
from typing import Any

import pytest

from deploy.fleet.channel.phases import BoardReport
from deploy.fleet.channel.receiver import ReportServer, Taker
from deploy.fleet.sharing.tracker import Tracker, TrackerServer
from deploy.onboard.front.routes import Route
from deploy.onboard.front.server import Front
from deploy.onboard.ollama import reply, server
from deploy.onboard.wire import message
from deploy.onboard.wire.message import STATUS, parse_head
from deploy.onboard.wire.talk import ClientGone
from tests.answers import Answering
from tests.fuzz.memory_file import scratch
from tests.fuzz.reader import Reader
from tests.unit.ollama_api import CHAT, EMBEDDER, KEY, thinking_answer

# Seconds that a reader waits for the rest of an input: there is none.
NO_REST = 0.01
CLOSED = 9  # a port at which nothing listens
Pair = tuple[socket.socket, socket.socket]


def exchange(data: bytes, serve: Callable[[socket.socket], object], pair: Pair, ends: bool = True) -> bytes:
    """What a client is answered that sends the data. `ends`: it says that no more will come."""
    client, ours = pair
    with client:
        client.sendall(data)  # the kernel's buffers hold an input, and an answer
        if ends:
            client.shutdown(socket.SHUT_WR)
        with ours:
            serve(ours)
        return received(client)


def received(client: socket.socket) -> bytes:
    """All that has come. A connection that was reset has no more."""
    found = bytearray()
    with suppress(ConnectionError):
        while piece := client.recv(65536):
            found += piece
    return bytes(found)


@cache
def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def over_tcp() -> Pair:
    """A connection over the loopback."""
    client = socket.create_connection(listener().getsockname())
    return client, listener().accept()[0]


def require_answer(answer: bytes) -> None:
    """Raises AssertionError for an answer that is no HTTP, or that says that we failed."""
    if answer:
        head = parse_head(answer.partition(b"\r\n\r\n")[0], STATUS)
        if head.words[1] == "500":
            raise AssertionError(answer[:300])


def ask_front(data: bytes) -> None:
    """A client of the front, whose servers do not run now."""
    routes = [Route("smol", "smol.gguf", "chat", CLOSED, 4), Route("mini", "mini.gguf", "embed", CLOSED, 4)]
    front = Front([*routes, Route("o", "", "ollama", CLOSED, 4, "/api/")], timeout=1)

    def serve(ours: socket.socket) -> None:
        prepare_unix(ours)
        front.loop.begin_talk(front.serve_client(ours))
        front.loop.run_talks()

    require_answer(exchange(data, serve, socket.socketpair()))
    if (front.clients, front.room.held) != (0, 0):
        raise AssertionError(f"{front.clients} clients and {front.room.held} bytes are left")


def prepare_unix(ours: socket.socket) -> None:
    """As prepare_socket, for a connection without TCP."""
    ours.setblocking(False)


@cache
def upstream() -> Answering:
    """What answers as llama-server does."""
    made = Answering(thinking_answer)
    threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
    return made


@contextmanager
def no_waiting() -> Iterator[None]:
    """Ollama's API waits for no rest of a request."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((server, "HEAD_SECONDS"), (message, "BODY_SECONDS"), (reply, "LINGER_SECONDS")):
            patch.setattr(module, name, NO_REST)
        patch.setattr(message, "SLOWEST_CLIENT", 1 << 60)
        yield


def ask_ollama(data: bytes) -> None:
    """A client of Ollama's API."""
    port = upstream().server_port
    routes = [Route(CHAT, "a.gguf", "chat", port, 4), Route(EMBEDDER, "b.gguf", "embed", port, 4)]
    upstream().asked.clear()
    with said_on_stderr() as said:
        require_answer(exchange(data, lambda ours: server.answer_client(ours, routes), over_tcp(), ends=False))
    if "Traceback" in said.getvalue():
        raise AssertionError(said.getvalue()[-500:])


def post_to_ollama(data: bytes) -> None:
    """A body, whose head is right, for each call of Ollama's API that takes one."""
    for path in OLLAMA_BODIES:
        ask_ollama(request("POST", path, data))


@contextmanager
def said_on_stderr() -> Iterator[StringIO]:
    before, sys.stderr = sys.stderr, StringIO()
    try:
        yield sys.stderr
    finally:
        sys.stderr = before


@cache
def report_server() -> ReportServer:
    return ReportServer(scratch() / "reports", 0)


def post_report(data: bytes) -> None:
    """What takes reports, whoever posts there: no line in its file is anything else."""
    taken = report_server()
    taken.file.unlink(missing_ok=True)
    exchange(data, lambda ours: Taker(ours, ("127.0.0.1", 1), taken), over_tcp())
    for line in taken.file.read_text().splitlines() if taken.file.exists() else []:
        BoardReport.model_validate_json(line)


def ask_as(asker: str, ours: socket.socket) -> None:
    """Has the tracker answer a program at that address."""
    Tracker(ours, (asker, 1), tracker_server())


@cache
def tracker_server() -> TrackerServer:
    return TrackerServer(("127.0.0.1", 0), Tracker)


def ask_tracker(data: bytes) -> None:
    """A program that asks the tracker, and then one that means well."""
    Tracker.peers.known.clear()
    good = b"GET /announce?info_hash=%01%02aaaaaaaaaaaaaaaaaa&port=6881 HTTP/1.0\r\n\r\n"
    answers = [
        exchange(one, partial(ask_as, asker), over_tcp()) for one, asker in ((data, "10.0.0.1"), (good, "10.0.0.2"))
    ]
    if not answers[1].startswith(b"HTTP/1.0 200") or b"interval" not in answers[1]:
        raise AssertionError(f"a board is answered {answers[1]!r}")


def request(method: str, path: str, body: Any = None, **fields: str) -> bytes:
    """A request as clients send it."""
    text = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = {"Host": "a", "Authorization": f"Bearer {KEY}", "Content-Length": str(len(text)), **fields}
    return "\r\n".join([f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in lines.items()), "", ""]).encode() + text


MESSAGES = [{"role": "user", "content": "hi", "images": ["aGk="]}, {"role": "tool", "tool_name": "t", "content": "1"}]
TOOLS = [{"type": "function", "function": {"name": "t", "parameters": {}}}]
CALLED = [{"role": "assistant", "tool_calls": [{"function": {"name": "t", "arguments": {"a": 1}}}]}, *MESSAGES]
OPTIONS = {"temperature": 0.5, "num_predict": 10, "stop": ["a"], "seed": 1, "top_k": 3}
OLLAMA_BODIES = {
    "/api/chat": {"model": CHAT, "messages": CALLED, "tools": TOOLS, "options": OPTIONS, "stream": False},
    "/api/generate": {
        "model": CHAT,
        "prompt": "hi",
        "raw": True,
        "options": OPTIONS,
        "keep_alive": "0",
        "think": "low",
    },
    "/api/embed": {"model": EMBEDDER, "input": ["a", "b"], "truncate": False},
    "/api/show": {"model": CHAT},
    "/api/pull": {"name": CHAT},
}


def ollama_examples() -> list[bytes]:
    """A request of each kind."""
    told = [request("POST", path, body) for path, body in OLLAMA_BODIES.items()]
    return [*told, request("GET", "/api/tags"), request("HEAD", "/"), request("DELETE", "/api/delete", {"model": "a"})]


def body_examples() -> list[bytes]:
    """The bodies of these requests."""
    return [json.dumps(body).encode() for body in OLLAMA_BODIES.values()]


def front_examples() -> list[bytes]:
    """Requests by size and in chunks."""
    head = b"POST /v1/embeddings?a=b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked = head + b'10;x\r\n{"model": "mini"\r\n1\r\n}\r\n0\r\n\r\n'
    body = {"messages": CALLED, "model": "smol"}
    return [request("POST", "/v1/chat/completions", body), chunked, request("GET", "/metrics?model=mini")]


REPORT = {"version": 1, "board": "kitchen", "kind": "rpi5", "release": "r1", "created": "x", "good": True, "reason": ""}
FIELDS = (b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"HTTP/1.0", b"\r\n\r\n")
ANNOUNCE = b"GET /announce?info_hash=%01%02aaaaaaaaaaaaaaaaaa&peer_id=x&port=6881&event=started HTTP/1.0\r\n\r\n"

GONE = (ClientGone, OSError)

TALK_READERS = (
    Reader("front", ask_front, front_examples, (), FIELDS, 2),
    Reader("ollama", ask_ollama, ollama_examples, GONE, FIELDS, 0.1, no_waiting),
    Reader("ollama-body", post_to_ollama, body_examples, GONE, (b"Infinity", b"1e999"), 0.05, no_waiting),
    Reader("report-receiver", post_report, lambda: [request("POST", "/", REPORT)], (), FIELDS, 1),
    Reader("tracker", ask_tracker, lambda: [ANNOUNCE], (), (b"&port=70000", b"event=stopped", b"info_hash="), 0.5),
)
