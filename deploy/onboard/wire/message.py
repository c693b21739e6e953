"""Messages of HTTP/1.1: a request for each connection, with a bound in bytes for whatever comes.

Whatever two readers could see a different end of (request smuggling) is refused.
"""

import re
import socket
from collections.abc import Callable, Generator
from typing import NamedTuple

from .talk import PIECE_BYTES, Ready, Wait, receive_some, send_all, soon

# Bytes. llama-server itself takes 8 kB for a line of the head. A body of 8 MB is a picture of 6 MB, in base64.
LINE_BYTES, HEAD_BYTES, BODY_BYTES = 8 << 10, 32_000, 8_000_000
HEAD_LINES = 100
# A body has these seconds, and more at this rate in bytes a second.
BODY_SECONDS, SLOWEST_CLIENT = 10.0, 250_000
REQUEST = re.compile(r"([A-Z]+) (/[!-~]*) (HTTP/1\.[01])")
STATUS = re.compile(r"(HTTP/1\.[01]) ([0-9]{3}) ?(.*)")
FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)")
# What says the length of a body, and how.
LENGTHS = {"content-length": re.compile("[0-9]{1,12}"), "transfer-encoding": re.compile("chunked", re.IGNORECASE)}
CHUNK = re.compile(r"([0-9A-Fa-f]{1,8})[ \t]*(;.*)?")
REASONS = {
    **{200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 408: "Request Timeout"},
    **{405: "Method Not Allowed", 413: "Content Too Large", 431: "Request Header Fields Too Large"},
    **{500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable"},
}


class Declined(Exception):
    """An answer that is an error, in a sentence. `retry`: in how many seconds a client may try again; 0: never."""

    def __init__(self, status: int, sentence: str, retry: int = 0) -> None:
        super().__init__(sentence)
        self.status, self.retry = status, retry


class Head(NamedTuple):
    """The three words of a message's first line, its fields as they came, and the last value of each field by its name
    in small letters.
    """

    words: tuple[str, str, str]
    fields: list[tuple[str, str]]
    values: dict[str, str]

    @property
    def is_chunked(self) -> bool:
        return "transfer-encoding" in self.values

    @property
    def size(self) -> int | None:
        """Bytes of the body, where the head says so."""
        return int(self.values["content-length"]) if "content-length" in self.values else None


class Incoming:
    """What the other side of a connection sends. `came`: what has come behind the last that was read."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self.came = connection, bytearray()
        self.left = self.chunks = 0  # bytes of the body, or of its chunk, that are still to come; chunks that began

    def read_head(self, first: re.Pattern[str], deadline: float) -> Generator[Wait, Ready, Head | None]:
        """The head of a message, None when the other side ends before. Raises Declined, OSError."""
        while (end := self.came.find(b"\r\n\r\n")) < 0:
            require_head(self.came, first)
            piece = yield from receive_some(self.connection, deadline, 4096)
            if not piece:
                return None
            self.came += piece
        head = parse_head(self.came[:end], first)
        del self.came[: end + 4]
        self.left = head.size or 0
        return head

    def read_piece(self, head: Head, deadline: float) -> Generator[Wait, Ready, bytes]:
        """The next bytes of the body behind a head; b"" at its end. Without a size it ends with the connection, which a
        request's does not. Raises Declined, OSError.
        """
        if not head.is_chunked and head.size is None:
            return (yield from self.take_some(PIECE_BYTES, deadline))
        if head.is_chunked and not self.left:
            self.left = yield from self.next_chunk(deadline)
        if not self.left:
            return b""
        piece = yield from self.take_some(min(self.left, PIECE_BYTES), deadline)
        if not piece:
            raise ConnectionError("the other side ended in the middle of a message")
        self.left -= len(piece)
        return piece

    def take_some(self, most: int, deadline: float) -> Generator[Wait, Ready, bytes]:
        """At least a byte, and at most so many; b"" at the end. Raises OSError."""
        if not self.came:
            return (yield from receive_some(self.connection, deadline, most))
        piece = bytes(self.came[:most])
        del self.came[:most]
        return piece

    def read_line(self, deadline: float) -> Generator[Wait, Ready, str]:
        """The next line, without its end. Raises Declined, OSError."""
        while (end := self.came.find(b"\r\n")) < 0:
            if len(self.came) > LINE_BYTES:
                raise chunk_error()
            piece = yield from receive_some(self.connection, deadline, 4096)
            if not piece:
                raise ConnectionError("the other side ended in the middle of a message")
            self.came += piece
        line = self.came[:end].decode("latin-1")
        del self.came[: end + 2]
        return line

    def next_chunk(self, deadline: float) -> Generator[Wait, Ready, int]:
        """Bytes of the next chunk; 0 at the end of the body. Raises Declined, OSError."""
        if self.chunks and (yield from self.read_line(deadline)):
            raise Declined(400, "the body is cut into no chunks: a chunk is longer than it says")
        self.chunks += 1
        found = CHUNK.fullmatch((yield from self.read_line(deadline)))
        if not found:
            raise chunk_error()
        return int(found[1], 16)

    def fill_body(
        self, body: bytearray, head: Head, make_room: Callable[[int], None], deadline: float
    ) -> Generator[Wait, Ready, None]:
        """Adds a request's body to `body`. `make_room` is told the size of each piece before. Raises Declined when the
        body is too large, OSError, and whatever `make_room` raises.
        """
        require_size(head.size or 0)
        if not most_bytes(head):
            return
        if head.values.get("expect", "").lower() == "100-continue":
            yield from send_all(self.connection, b"HTTP/1.1 100 Continue\r\n\r\n", deadline)
        piece = yield from self.read_piece(head, deadline)
        while piece:
            require_size(len(body) + len(piece))
            make_room(len(piece))
            body += piece
            piece = yield from self.read_piece(head, deadline)


def parse_head(text: bytes | bytearray, first: re.Pattern[str]) -> Head:
    """The head that the text is. Raises Declined for a head that two readers could read differently."""
    require_head(text, first)
    line, *lines = text.decode("latin-1").split("\r\n")
    words, found = first.fullmatch(line), [FIELD.fullmatch(one) for one in lines]
    if not words or not all(found):
        raise Declined(400, "this is no request: it has no head of HTTP/1.1")
    fields = [(one[1], one[2]) for one in found if one]
    lengths = {(name.lower(), value) for name, value in fields if name.lower() in LENGTHS}
    if len(lengths) > 1 or not all(LENGTHS[name].fullmatch(value) for name, value in lengths):
        said = ", ".join(f"{name}: {value[:40]}" for name, value in sorted(lengths))
        raise Declined(400, f"{said}: the length of a body must be said once, as a whole number or as chunked")
    values = {name.lower(): value.strip() for name, value in fields}
    return Head((words[1], words[2], words[3]), fields, values)


def require_head(text: bytes | bytearray, first: re.Pattern[str]) -> None:
    """Raises Declined when the text cannot begin a head, however it goes on."""
    lines = text.split(b"\n")
    if len(text) > HEAD_BYTES or len(lines) > HEAD_LINES or max(map(len, lines)) > LINE_BYTES:
        bounds = f"{HEAD_BYTES} bytes, {HEAD_LINES} lines, and {LINE_BYTES} bytes in a line"
        raise Declined(431, f"the head of the request is too large: at most {bounds}")
    if len(lines) > 1 and not first.fullmatch(lines[0].rstrip(b"\r").decode("latin-1")):
        raise Declined(400, "this is no request: it has no head of HTTP/1.1")


def most_bytes(head: Head) -> int:
    """The bytes that the body of a request may have, by its head."""
    return BODY_BYTES if head.is_chunked else head.size or 0


def body_deadline(head: Head) -> float:
    """Until when the body of a request must be there."""
    return soon(BODY_SECONDS + most_bytes(head) / SLOWEST_CLIENT)


def require_size(size: int) -> None:
    """Raises Declined for a body that is too large."""
    if size > BODY_BYTES:
        most = f"at most {BODY_BYTES}; send a shorter text or a smaller picture"
        raise Declined(413, f"the body has {size} bytes: {most}")


def chunk_error() -> Declined:
    return Declined(400, "the body is cut into no chunks: a chunk does not say its size")


def message_head(first: str, *fields: str) -> bytes:
    """The head of a request or of an answer, whose connection ends with the answer."""
    return "\r\n".join([first, *fields, "Connection: close", "", ""]).encode("latin-1")


def answer_head(status: int, *fields: str) -> bytes:
    """The head of an answer."""
    return message_head(f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}", *fields)
