"""Serves clients: reads a request, chooses a server, and passes the answer on as it comes.

A client that asks for a key is the servers' to judge: the front passes on what it carries, and holds no key.
"""

import socket
import sys
from collections.abc import Callable, Generator
from contextlib import suppress

from ..json_parts import parse_json
from ..wire.message import Declined, answer_head
from ..wire.talk import PIECE_BYTES, Ready, Talk, Wait, linger, prepare_socket, send_all, soon
from .loop import Loop
from .request import Request, Room
from .routes import LISTS, Route, choose_route, connect_route, error_body, model_list
from .slots import Slots

# LimitNOFILE= of the unit lets in this many, and a connection to a server for each.
MOST_CLIENTS = 1000
# Requests that are no work (GET /health) which a server is asked at once: it lets in 64 connections.
LOOKS = 16
LINGER_SECONDS = 5.0


class Front:
    """The servers behind one address. `timeout`: seconds that a client may stand still, or wait for a slot."""

    def __init__(self, routes: list[Route], timeout: float) -> None:
        self.loop, self.routes, self.timeout = Loop(), routes, timeout
        self.slots = {
            (route, works): Slots(self.loop, route.name, route.slots if works else LOOKS)
            for route in routes
            for works in (True, False)
        }
        self.room, self.clients = Room(lambda: self.end_slowest(room_taken)), 0
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
            prepare_socket(client)
            self.loop.begin_talk(self.serve_client(client))
            if self.clients >= MOST_CLIENTS:
                yield from self.make_room()

    def make_room(self) -> Talk:
        """Ends the client that has taken the longest over its request, for the next one. Waits when all have theirs."""
        self.end_slowest()
        while self.clients >= MOST_CLIENTS:
            with suppress(TimeoutError):
                yield Wait(deadline=soon(0.1))

    def end_slowest(self, error: Callable[[], Exception] = TimeoutError) -> bool:
        """Ends the client that has taken the longest over its request. False when there is none to end."""
        slowest = next((talk for talk in self.reading if talk is not self.loop.current), None)
        if slowest:
            self.loop.end_wait(slowest, error)
        return slowest is not None

    def serve_client(self, client: socket.socket) -> Talk:
        """Answers one request, and ends the connection."""
        self.clients += 1
        request = Request(client, self.room)
        try:
            yield from self.answer_request(client, request)
        except Declined as declined:
            declined.__traceback__ = None  # it holds the request while the client lingers
            yield from decline_request(client, declined, error_body(self.routes, request.path, declined))
        except OSError:
            pass  # the client is gone, or stood still
        finally:
            self.clients -= 1
            client.close()

    def answer_request(self, client: socket.socket, request: Request) -> Talk:
        """Raises Declined for the front's own errors, OSError when the client is gone."""
        try:
            if not (yield from self.read_request(request)):
                return
            if request.method == "GET" and request.path in LISTS:
                yield from send_all(client, own_answer(200, model_list(self.routes)), soon(self.timeout))
            else:
                route = choose_route(self.routes, request.path, request.body)
                yield from self.pass_on(client, request, route)
        finally:
            request.drop_body()

    def read_request(self, request: Request) -> Generator[Wait, Ready, bool]:
        """As `Request.read`, among those whom `end_slowest` may end."""
        talk = self.loop.current
        assert talk
        self.reading[talk] = None
        try:
            return (yield from request.read())
        finally:
            del self.reading[talk]

    def pass_on(self, client: socket.socket, request: Request, route: Route) -> Talk:
        """Has the server answer, in one of its slots."""
        slots = self.slots[route, request.method == "POST"]
        since = yield from slots.take_slot(client, self.timeout)
        try:
            yield from self.exchange(client, request, route)
        finally:
            slots.give_slot(since)

    def exchange(self, client: socket.socket, request: Request, route: Route) -> Talk:
        """Sends the request to the server, and its answer to the client. Raises Declined, OSError."""
        server = yield from reach_server(route)
        try:
            with suppress(ConnectionError):  # a server may refuse by the head alone: its answer is there to read
                yield from request.send(server, soon(self.timeout))
            request.drop_body()
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
                raise Declined(502, f"the server of {route.name} ended before it answered: try again in 5 s", retry=5)
            if not piece:
                return
            yield from send_all(client, piece, soon(self.timeout))
            passed += len(piece)


def room_taken() -> Declined:
    """What a client is told whose request gives its memory to another's."""
    return Declined(503, "the front has too many large requests for this one: try again in 5 s", retry=5)


def next_piece(server: socket.socket) -> bytes:
    """What a server that can be read has sent; b"" when it has ended, well or not."""
    try:
        return server.recv(PIECE_BYTES)
    except ConnectionError:
        return b""


def reach_server(route: Route) -> Generator[Wait, Ready, socket.socket]:
    """A connection to the server. Raises Declined when nothing listens there."""
    try:
        return (yield from connect_route(route))
    except OSError:
        raise Declined(503, f"the server of {route.name} does not run now: try again in 10 s", retry=10) from None


def decline_request(client: socket.socket, declined: Declined, body: bytes) -> Talk:
    """Answers with an error, and lets the client read it."""
    with suppress(OSError):
        deadline = soon(LINGER_SECONDS)
        yield from send_all(client, own_answer(declined.status, body, declined.retry), deadline)
        yield from linger(client, deadline)


def own_answer(status: int, body: bytes, retry: int = 0) -> bytes:
    """An answer of the front itself, in JSON."""
    fields = ["Content-Type: application/json; charset=utf-8", f"Content-Length: {len(body)}"]
    return answer_head(status, *fields, *([f"Retry-After: {retry}"] if retry else [])) + body


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
    told = parse_json(sys.argv[2])
    front = Front([Route(**one) for one in told["routes"]], told["timeout"])
    front.serve_forever(listen_at(told["host"], told["port"]))
    return 0
