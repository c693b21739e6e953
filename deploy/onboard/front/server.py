"""Serves clients: reads a request, chooses a server, and passes the answer on as it comes.

A client that asks for a key is the servers' to judge: the front passes on what it carries, and holds no key.
"""

import errno
import json
import socket
import sys
from collections.abc import Generator
from contextlib import suppress

from .loop import Loop, Ready, Talk, Wait, receive_some, send_all, soon
from .request import FrontError, Request, Room, model_named, read_body, read_head
from .routes import LISTS, Route, choose_route, model_list
from .slots import Slots

# LimitNOFILE= of the unit lets in this many, and a connection to a server for each.
MOST_CLIENTS = 1000
# Requests that are no work (GET /health) which a server is asked at once: it lets in 64 connections.
LOOKS = 16
CONNECT_SECONDS = 5.0
LINGER_SECONDS = 5.0
HERE = "127.0.0.1"
REASONS = {
    200: "OK",
    400: "Bad Request",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
}
# `type` of an error, in the words of llama-server (format_error_response in tools/server/server-common.cpp).
KINDS = {**dict.fromkeys((400, 413, 431), "invalid_request_error"), **dict.fromkeys((502, 503), "unavailable_error")}


class Front:
    """The servers behind one address. `timeout`: seconds that a client may stand still, or wait for a slot."""

    def __init__(self, routes: list[Route], timeout: float) -> None:
        self.loop, self.routes, self.timeout = Loop(), routes, timeout
        self.slots = {
            (route, works): Slots(self.loop, route.name, route.slots if works else LOOKS)
            for route in routes
            for works in (True, False)
        }
        self.room, self.clients = Room(self.end_slowest), 0
        self.reading: dict[Talk, None] = {}  # those whose request is not complete, the oldest first

    def serve_forever(self, listener: socket.socket) -> None:
        """Serves whoever connects, until the process is ended."""
        self.loop.begin_talk(self.accept_clients(listener))
        self.loop.run_talks()

    def accept_clients(self, listener: socket.socket) -> Talk:
        """Begins a talk with each client."""
        while True:
            try:
                yield Wait(reading=(listener,))
                client, _ = listener.accept()
            except (BlockingIOError, ConnectionError):
                continue
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.loop.begin_talk(self.serve_client(client))
            if self.clients >= MOST_CLIENTS:
                yield from self.make_room()

    def make_room(self) -> Talk:
        """Ends the client that has taken the longest over its request, for the next one. Waits when all have theirs."""
        self.end_slowest()
        while self.clients >= MOST_CLIENTS:
            with suppress(TimeoutError):
                yield Wait(deadline=soon(0.1))

    def end_slowest(self) -> bool:
        """Ends the client that has taken the longest over its request. False when there is none to end."""
        slowest = next((talk for talk in self.reading if talk is not self.loop.current), None)
        if slowest:
            self.loop.end_wait(slowest)
        return slowest is not None

    def serve_client(self, client: socket.socket) -> Talk:
        """Answers one request, and ends the connection."""
        self.clients += 1
        try:
            yield from self.answer_client(client)
        except FrontError as refusal:
            yield from refuse_client(client, refusal)
        except OSError:
            pass  # the client is gone, or stood still
        finally:
            self.clients -= 1
            client.close()

    def answer_client(self, client: socket.socket) -> Talk:
        """Raises FrontError for the front's own errors, OSError when the client is gone."""
        request = yield from self.read_request(client)
        if request is None:
            return
        try:
            if request.method == "GET" and request.path in LISTS:
                yield from send_all(client, own_answer(200, model_list(self.routes)), soon(self.timeout))
            else:
                route = choose_route(self.routes, request.path, model_named(request.body))
                yield from self.pass_on(client, request, route)
        finally:
            request.drop_body(self.room)

    def read_request(self, client: socket.socket) -> Generator[Wait, Ready, "Request | None"]:
        """The whole request; None when the client ends before it has sent one. Raises FrontError, OSError."""
        talk, request = self.loop.current, None
        assert talk
        self.reading[talk] = None
        try:
            request = yield from read_head(client)
            if request:
                yield from read_body(client, request, self.room)
        except BaseException:
            if request:
                request.drop_body(self.room)
            raise
        finally:
            del self.reading[talk]
        return request

    def pass_on(self, client: socket.socket, request: Request, route: Route) -> Talk:
        """Has the server answer, in one of its slots."""
        slots = self.slots[route, request.method == "POST"]
        since = yield from slots.take_slot(client, self.timeout)
        try:
            yield from self.exchange(client, request, route)
        finally:
            slots.give_slot(since)

    def exchange(self, client: socket.socket, request: Request, route: Route) -> Talk:
        """Sends the request to the server, and its answer to the client. Raises FrontError, OSError."""
        server = yield from connect_server(route)
        try:
            with suppress(ConnectionError):  # a server may refuse by the head alone: its answer is there to read
                yield from send_all(server, request.to_server(), soon(self.timeout))
                yield from send_all(server, request.body, soon(self.timeout))
            request.drop_body(self.room)
            yield from self.pass_back(server, client, route)
        finally:
            server.close()

    def pass_back(self, server: socket.socket, client: socket.socket, route: Route) -> Talk:
        """Passes on the answer as it comes, however long the server thinks. Ends with the server, or the client."""
        passed = 0
        while True:
            ready = yield Wait(reading=(server, client))
            if ready is client and not client.recv(4096):
                return
            if ready is client:
                continue
            piece = next_piece(server)
            if not piece and not passed:
                raise FrontError(502, f"the server of {route.name} ended before it answered: try again in 5 s", retry=5)
            if not piece:
                return
            yield from send_all(client, piece, soon(self.timeout))
            passed += len(piece)


def next_piece(server: socket.socket) -> bytes:
    """What a server that can be read has sent; b"" when it has ended, well or not."""
    try:
        return server.recv(1 << 16)
    except ConnectionError:
        return b""


def connect_server(route: Route) -> Generator[Wait, Ready, socket.socket]:
    """A connection to the server. Raises FrontError when nothing listens there."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setblocking(False)
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        if server.connect_ex((HERE, route.port)) == errno.EINPROGRESS:
            yield Wait(writing=(server,), deadline=soon(CONNECT_SECONDS))
        if (error := server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) or not is_connected(server):
            raise OSError(error, "not connected")
    except OSError:
        server.close()
        raise FrontError(503, f"the server of {route.name} does not run now: try again in 10 s", retry=10) from None
    return server


def is_connected(server: socket.socket) -> bool:
    try:
        server.getpeername()
    except OSError:
        return False
    return True


def refuse_client(client: socket.socket, refusal: FrontError) -> Talk:
    """Answers with the refusal, then takes what still comes: a client that sends does not read."""
    error = {"code": refusal.status, "message": refusal.message, "type": KINDS[refusal.status]}
    answer = own_answer(refusal.status, json.dumps({"error": error}).encode(), refusal.retry)
    with suppress(OSError):
        deadline = soon(LINGER_SECONDS)
        yield from send_all(client, answer, deadline)
        client.shutdown(socket.SHUT_WR)
        while (yield from receive_some(client, deadline)):
            pass


def own_answer(status: int, body: bytes, retry: int = 0) -> bytes:
    """An answer of the front itself, in JSON."""
    again = f"Retry-After: {retry}\r\n" if retry else ""
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: application/json; charset=utf-8\r\n{again}"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def listen_at(host: str, port: int) -> socket.socket:
    """The socket that clients reach. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(512)
    listener.setblocking(False)
    return listener


def run_front() -> int:
    """`boardllama front TOLD`: serves until it is ended. TOLD: a JSON object with host, port, timeout and routes."""
    told = json.loads(sys.argv[2])
    front = Front([Route(**one) for one in told["routes"]], told["timeout"])
    front.serve_forever(listen_at(told["host"], told["port"]))
    return 0
