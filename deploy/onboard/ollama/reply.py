"""The answer to a client: one JSON value, a text, or lines of JSON as they come."""

import socket
from collections.abc import Iterator
from typing import Any

from ..wire.message import Declined, answer_head
from ..wire.talk import hold_talk, linger, send_all, soon
from .answers import json_bytes

JSON = "application/json; charset=utf-8"
# Seconds in which a client must take what it is sent; and may still send, when it is answered before it has sent all.
SEND_SECONDS, LINGER_SECONDS = 60.0, 2.0


class Reply:
    """What a client gets: once, and with the connection's end. `bare`: the answer to HEAD has no body."""

    def __init__(self, connection: socket.socket, bare: bool = False, chunked: bool = True) -> None:
        self.connection, self.bare, self.chunked = connection, bare, chunked
        self.is_begun = self.takes_lines = False
        self.framing = ["Transfer-Encoding: chunked"] if chunked else []

    def send(self, content: bytes) -> None:
        """Sends bytes. Raises OSError when the client does not take them."""
        hold_talk(send_all(self.connection, content, soon(SEND_SECONDS)))

    def send_json(self, value: Any) -> None:
        """Answers with a JSON value."""
        self.send_whole(json_bytes(value), JSON)

    def send_whole(self, body: bytes, kind: str, status: int = 200, *fields: str) -> None:
        """Answers with bytes of a media type."""
        head = self.begin(status, f"Content-Type: {kind}", f"Content-Length: {len(body)}", *fields)
        self.send(head if self.bare else head + body)

    def send_lines(self, lines: Iterator[dict[str, Any]]) -> None:
        """Answers with a line for each value as it comes."""
        self.takes_lines = True
        self.send_pieces((json_bytes(line) + b"\n" for line in lines), "application/x-ndjson")

    def send_pieces(self, pieces: Iterator[bytes], kind: str) -> None:
        """Answers with bytes as they come. The head waits for the first of them: until then all can be declined."""
        for piece in pieces:
            head = b"" if self.is_begun else self.begin(200, f"Content-Type: {kind}", *self.framing)
            self.send(head + self.framed(piece))
        self.end_pieces()

    def send_declined(self, declined: Declined) -> None:
        """Answers with an error in Ollama's form; within lines as the last. Any other answer breaks off."""
        error = {"error": str(declined)}
        if not self.is_begun:
            retry = [f"Retry-After: {declined.retry}"] if declined.retry else []
            self.send_whole(json_bytes(error), JSON, declined.status, *retry)
        elif self.takes_lines:
            self.send(self.framed(json_bytes(error) + b"\n"))
            self.end_pieces()

    def framed(self, piece: bytes) -> bytes:
        """A piece of a body whose length is unknown."""
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self.chunked else piece

    def end_pieces(self) -> None:
        """Ends a body whose length is unknown."""
        if self.chunked:
            self.send(b"0\r\n\r\n")

    def begin(self, status: int, *fields: str) -> bytes:
        """The head of the answer, which is to be sent now."""
        self.is_begun = True
        return answer_head(status, *fields)

    def linger(self) -> None:
        """Lets the client read the answer before the connection is closed."""
        hold_talk(linger(self.connection, soon(LINGER_SECONDS)))
