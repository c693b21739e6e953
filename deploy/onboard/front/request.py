"""A request as the front reads it: its head, and its body whole, which alone says the model.

A client has one request for each connection: the front passes on "Connection: close". What follows the body is never
read.
"""

import re
import socket
from collections.abc import Callable, Generator
from contextlib import suppress

from ..json_parts import json_parts, text_of
from ..wire.message import REQUEST, Declined, Incoming, body_deadline, message_head
from ..wire.talk import PIECE_BYTES, Ready, Talk, Wait, send_all, soon

HEAD_SECONDS = 10.0
ALL_BODIES_BYTES = 10_000_000
# The front says these to a server itself.
OWN = ("connection", "keep-alive", "proxy-connection", "expect", "content-length", "transfer-encoding")
KEY = b'"model"'
TEXT_FOLLOWS = re.compile(rb'\s*:\s*(?=")')


class Room:
    """How many bytes of bodies the front holds: all clients together may not take more memory than it has."""

    def __init__(self, end_slowest: Callable[[], bool]) -> None:
        self.held, self.end_slowest = 0, end_slowest

    def take_bytes(self, size: int) -> None:
        """Counts bytes that came. Those who take the longest to send a request give theirs back for them.

        Raises Declined when the front holds too many of whole requests.
        """
        while self.held + size > ALL_BODIES_BYTES:
            if self.end_slowest():
                continue
            raise Declined(503, f"the front holds {self.held} bytes of other requests: try again in 5 s", retry=5)
        self.held += size


class Request:
    """A request of a client, with the room for its body. Without a head that could be read, `path` is "".

    No dataclass: their module costs 1.5 MB.
    """

    def __init__(self, client: socket.socket, room: Room) -> None:
        self.incoming, self.room, self.body = Incoming(client), room, bytearray()
        self.method = self.path = ""

    def read(self) -> Generator[Wait, Ready, bool]:
        """Reads the head and the body. False when the client ends before its head does. Raises Declined, OSError."""
        head = yield from self.incoming.read_head(REQUEST, soon(HEAD_SECONDS))
        if head is None:
            return False
        self.head, (self.method, self.path, _) = head, head.words
        yield from self.incoming.fill_body(self.body, head, self.room.take_bytes, body_deadline(head))
        return True

    def drop_body(self) -> None:
        """Forgets the body, and gives back its room."""
        self.room.held -= len(self.body)
        with suppress(BufferError):  # somebody is in the midst of sending it
            self.body.clear()  # with Python 3.10 the frames of a talk that was ended live until the next collection
        self.body = bytearray()

    def send(self, server: socket.socket, deadline: float) -> Talk:
        """Sends the request to a server. Raises OSError."""
        lines = [f"{name}: {value}" for name, value in self.head.fields if name.lower() not in OWN]
        if self.body or self.head.size is not None:
            lines.append(f"Content-Length: {len(self.body)}")
        head = message_head(" ".join(self.head.words), *lines)
        yield from send_all(server, head + self.body[:PIECE_BYTES], deadline)  # in one packet, unless it is large
        yield from send_all(server, memoryview(self.body)[PIECE_BYTES:], deadline)


def model_named(body: bytes | bytearray) -> str | None:
    """The text of `model` in a JSON object, wherever in it; None without one."""
    is_named, model = False, None
    for depth, begin, end in json_parts(body):
        if is_named:
            model = text_of(bytes(body[begin:end])) or model
        is_named = depth == 1 and body.startswith(KEY, begin) and bool(TEXT_FOLLOWS.match(body, begin + len(KEY)))
    return model
