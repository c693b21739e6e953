"""The answer to a client: one JSON value, a text, or lines of JSON as they come."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from .answers import json_bytes
from .declined import Declined

REASONS = {
    **{200: "OK", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"},
    **{405: "Method Not Allowed", 408: "Request Timeout", 413: "Content Too Large", 501: "Not Implemented"},
    **{500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"},
}
# What a client that is answered before it has sent all may still send, and for how long: whoever closes earlier resets
# the connection, and the client never reads the answer.
LINGER_BYTES, LINGER_SECONDS = 1 << 20, 2.0


class Reply:
    """What a client gets: once, and with the connection's end. `bare`: the answer to HEAD has no body."""

    def __init__(self, connection: socket.socket, bare: bool = False, chunked: bool = True) -> None:
        self.connection, self.bare, self.chunked = connection, bare, chunked
        self.is_begun = self.takes_lines = False
        self.framing = ["Transfer-Encoding: chunked"] if chunked else []

    def send_json(self, value: Any, status: int = 200) -> None:
        """Answers with a JSON value."""
        self.send_whole(json_bytes(value), "application/json; charset=utf-8", status)

    def send_whole(self, body: bytes, kind: str, status: int = 200) -> None:
        """Answers with bytes of a media type."""
        head = self.begin(status, f"Content-Type: {kind}", f"Content-Length: {len(body)}")
        self.connection.sendall(head if self.bare else head + body)

    def send_lines(self, lines: Iterator[dict[str, Any]]) -> None:
        """Answers with a line for each value as it comes."""
        self.takes_lines = True
        self.send_pieces((json_bytes(line) + b"\n" for line in lines), "application/x-ndjson")

    def send_pieces(self, pieces: Iterator[bytes], kind: str) -> None:
        """Answers with bytes as they come. The head waits for the first of them: until then all can be declined."""
        for piece in pieces:
            head = b"" if self.is_begun else self.begin(200, f"Content-Type: {kind}", *self.framing)
            self.connection.sendall(head + self.framed(piece))
        self.end_pieces()

    def send_declined(self, declined: Declined) -> None:
        """Answers with an error in Ollama's form; within lines as the last. Any other answer breaks off."""
        error = {"error": str(declined)}
        if not self.is_begun:
            self.send_json(error, declined.status)
        elif self.takes_lines:
            self.connection.sendall(self.framed(json_bytes(error) + b"\n"))
            self.end_pieces()

    def framed(self, piece: bytes) -> bytes:
        """A piece of a body whose length is unknown."""
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self.chunked else piece

    def end_pieces(self) -> None:
        """Ends a body whose length is unknown."""
        if self.chunked:
            self.connection.sendall(b"0\r\n\r\n")

    def begin(self, status: int, *headers: str) -> bytes:
        """The head of the answer, which is to be sent now."""
        self.is_begun = True
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}", *headers, "Connection: close", "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def linger(self) -> None:
        """Lets the client read the answer before the connection is closed."""
        end, left = time.monotonic() + LINGER_SECONDS, LINGER_BYTES
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while left > 0 and (wait := end - time.monotonic()) > 0:
                self.connection.settimeout(wait)
                piece = self.connection.recv(64 << 10)
                left -= len(piece)
                if not piece:
                    return
