"""HTTP/1.1 on a socket: heads and bodies, each with a bound in bytes and a deadline.

A deadline is a time of time.monotonic(): a peer that sends a byte now and then does not move it. Where it is None each
wait by itself may take SILENCE_SECONDS: an answer of a slow board goes on for hours.
"""

import select
import socket
import time
from collections.abc import Iterator
from typing import NamedTuple

from .declined import Declined

LINE_LIMIT = 8 << 10  # bytes
HEAD_LINES = 100
PIECE = 64 << 10  # bytes
# Longer than any answer of a board may keep silent: the first token of the longest prompt.
SILENCE_SECONDS = 3600.0
# Seconds in which a peer must take what it is sent.
SEND_SECONDS = 60.0


class ClientGone(Exception):
    """Nobody is there any more to be answered."""


class Head(NamedTuple):
    """First line of a message, in its three words, and its headers by lower-case name."""

    words: list[str]
    headers: dict[str, str]


class Wire:
    """A connection that is read by lines and by bytes. `watched`: whose end ends every wait, with ClientGone."""

    def __init__(self, connection: socket.socket, watched: socket.socket | None = None) -> None:
        connection.settimeout(SEND_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection, self.watched = connection, watched
        self.held = b""
        self.is_spent = False  # all that the other side had to send has been read

    def receive(self, deadline: float | None) -> bytes:
        """The next bytes, b"" at the end. Raises TimeoutError and ClientGone."""
        waiting = select.poll()
        waiting.register(self.connection, select.POLLIN)
        if self.watched:
            waiting.register(self.watched, select.POLLRDHUP)
        seconds = SILENCE_SECONDS if deadline is None else max(0.0, deadline - time.monotonic())
        seen = dict(waiting.poll(seconds * 1000))
        if not seen:
            raise TimeoutError("the other side is silent")
        if self.watched and self.watched.fileno() in seen:
            raise ClientGone
        return self.connection.recv(PIECE)

    def take_some(self, deadline: float | None, most: int = PIECE) -> bytes:
        """At least a byte, and at most so many; b"" at the end."""
        held = self.held or self.receive(deadline)
        self.held = held[most:]
        return held[:most]

    def take_line(self, deadline: float | None) -> str:
        """A line without its end. Raises ConnectionError when the other side ends before, ValueError when too long."""
        while b"\n" not in self.held:
            if len(self.held) > LINE_LIMIT:
                raise ValueError(f"a line is longer than {LINE_LIMIT} bytes")
            more = self.receive(deadline)
            if not more:
                raise ConnectionError("the other side ended in the middle of a line")
            self.held += more
        line, _, self.held = self.held.partition(b"\n")
        return line.rstrip(b"\r").decode("latin-1")

    def take_head(self, deadline: float | None) -> Head:
        """The head of a message. Raises ValueError when the bytes are none, else as `take_line`."""
        words = self.take_line(deadline).split(" ", 2)
        if len(words) < 2 or not any(word.startswith("HTTP/1.") for word in words):
            raise ValueError("no HTTP/1.1")
        headers: dict[str, str] = {}
        for _ in range(HEAD_LINES):
            name, colon, value = self.take_line(deadline).partition(":")
            if not colon:
                return Head(words, headers)
            headers[name.strip().lower()] = value.strip()
        raise ValueError(f"more than {HEAD_LINES} headers")

    def take_bytes(self, size: int, deadline: float | None) -> Iterator[bytes]:
        """So many bytes, as they come. Raises ConnectionError when the other side ends before."""
        while size:
            piece = self.take_some(deadline, min(size, PIECE))
            if not piece:
                raise ConnectionError("the other side ended in the middle of a body")
            size -= len(piece)
            yield piece

    def take_chunks(self, deadline: float | None) -> Iterator[bytes]:
        """The body of a message in chunks, as they come. Raises ValueError when a chunk has no size."""
        while size := chunk_size(self.take_line(deadline)):
            yield from self.take_bytes(size, deadline)
            self.take_line(deadline)
        while self.take_line(deadline):
            pass

    def take_rest(self, deadline: float | None) -> Iterator[bytes]:
        """Everything until the other side ends."""
        while piece := self.take_some(deadline):
            yield piece

    def take_body(self, headers: dict[str, str], deadline: float | None) -> Iterator[bytes]:
        """The body of an answer with these headers, as it comes."""
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self.take_chunks(deadline)
        if "content-length" in headers:
            return self.take_bytes(body_size(headers), deadline)
        return self.take_rest(deadline)


def chunk_size(line: str) -> int:
    """The size that the line before a chunk says. Raises ValueError."""
    digits = line.partition(";")[0].strip()
    if not digits.isalnum():
        raise ValueError(f"{digits[:20]!r} is no size")
    return int(digits, 16)


def body_size(headers: dict[str, str]) -> int:
    """Content-Length, 0 without it. Raises Declined when it is no number."""
    said = headers.get("content-length", "0")
    if not (said.isascii() and said.isdigit() and len(said) < 16):
        raise Declined(400, f"Content-Length is {said[:40]}: must be a whole number")
    return int(said)
