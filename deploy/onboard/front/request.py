"""A request as the front reads it: its head, and its body whole, which alone says the model.

A client has one request for each connection: the front passes on "Connection: close". What follows the body is never
read, so no two servers can see a different end of it (request smuggling).
"""

import json
import re
import socket
from collections.abc import Callable, Generator

from .loop import Ready, Wait, receive_some, send_all, soon

HEAD_SECONDS, BODY_SECONDS = 10.0, 60.0
# Bytes. A body of 8 MB is a picture of 6 MB, in base64. llama-server itself takes 8 kB for a line of the head.
HEAD_BYTES, BODY_BYTES, ALL_BODIES_BYTES = 32_000, 8_000_000, 10_000_000
# The front says these to a server itself.
OWN = ("connection", "keep-alive", "proxy-connection", "expect", "content-length", "transfer-encoding")
LINE = re.compile(rb"([A-Z]+) (/[!-~]*) (HTTP/1\.[01])")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)")
# What says the length of a body, and how.
LENGTH = {b"content-length": rb"[0-9]{1,12}", b"transfer-encoding": rb"chunked"}
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(;[^\r\n]*)?")
MARK = re.compile(rb'["{}\[\]]')
TEXT_FOLLOWS = re.compile(rb'\s*:\s*(?=")')


class FrontError(Exception):
    """An answer of the front itself, which is an error. `retry`: in how many seconds to try again; 0: never."""

    def __init__(self, status: int, message: str, retry: int = 0) -> None:
        super().__init__(message)
        self.status, self.message, self.retry = status, message, retry


class Room:
    """How many bytes of bodies the front holds: all clients together may not take more memory than it has."""

    def __init__(self, end_slowest: Callable[[], bool]) -> None:
        self.held, self.end_slowest = 0, end_slowest

    def take_bytes(self, size: int) -> None:
        """Counts bytes that came. Those who take the longest to send a request give theirs back for them.

        Raises FrontError when the front holds too many of whole requests.
        """
        while self.held + size > ALL_BODIES_BYTES:
            if self.end_slowest():
                continue
            raise FrontError(503, f"the front holds {self.held} bytes of other requests: try again in 5 s", retry=5)
        self.held += size


class Request:
    """A request of a client. `fields`: those of its head that are passed on, as they came. `head`: the last value of
    each field, by its name in small letters. `came`: bytes behind the head.

    No dataclass: their module costs 1.5 MB.
    """

    def __init__(self, line: re.Match[bytes], fields: list[tuple[bytes, bytes]], came: bytearray) -> None:
        self.method, self.path, self.version = line[1].decode(), line[2].decode(), line[3]
        self.fields = [(name, value) for name, value in fields if name.lower().decode() not in OWN]
        self.head = {name.lower(): value for name, value in fields}
        self.came, self.body = came, bytearray()

    @property
    def is_chunked(self) -> bool:
        return b"transfer-encoding" in self.head

    def drop_body(self, room: Room) -> None:
        """Forgets the body, and gives back its room."""
        room.held -= len(self.body)
        self.body = bytearray()

    def to_server(self) -> bytes:
        """The head for a server; the body follows it."""
        lines = [b"%s %s %s" % (self.method.encode(), self.path.encode(), self.version)]
        lines += [b"%s: %s" % one for one in self.fields]
        if self.body or b"content-length" in self.head:
            lines.append(b"Content-Length: %d" % len(self.body))
        return b"\r\n".join([*lines, b"Connection: close", b"", b""])


def read_head(client: socket.socket) -> Generator[Wait, Ready, Request | None]:
    """The next request, without its body; None when the client ends before it is sent. Raises FrontError, OSError."""
    came, deadline = bytearray(), soon(HEAD_SECONDS)
    while (end := came.find(b"\r\n\r\n")) < 0:
        if len(came) > HEAD_BYTES:
            raise FrontError(431, f"the head of the request has more than {HEAD_BYTES} bytes")
        piece = yield from receive_some(client, deadline, 4096)
        if not piece:
            return None
        came += piece
    return parse_head(bytes(came[:end]), came[end + 4 :])


def parse_head(head: bytes, came: bytearray) -> Request:
    """The request of that head. Raises FrontError for a head that two servers could read differently."""
    first, *lines = head.split(b"\r\n")
    line = LINE.fullmatch(first)
    found = [FIELD.fullmatch(one) for one in lines]
    if not line or not all(found):
        raise FrontError(400, "the request has no head of HTTP/1.1")
    fields = [(one[1], one[2]) for one in found if one]
    lengths = {(name.lower(), value.lower()) for name, value in fields if name.lower() in LENGTH}
    if len(lengths) > 1 or not all(re.fullmatch(LENGTH[name], value) for name, value in lengths):
        raise FrontError(400, "the request does not say, and say once, how long its body is")
    return Request(line, fields, came)


def read_body(client: socket.socket, request: Request, room: Room) -> Generator[Wait, Ready, None]:
    """Fills the request's body. Raises FrontError, OSError."""
    size, deadline = int(request.head.get(b"content-length", b"0")), soon(BODY_SECONDS)
    if size > BODY_BYTES:
        raise too_large(size)
    if (size or request.is_chunked) and request.head.get(b"expect", b"").lower() == b"100-continue":
        yield from send_all(client, b"HTTP/1.1 100 Continue\r\n\r\n", deadline)
    source = Source(client, request.came, deadline)
    if request.is_chunked:
        while chunk := (yield from source.chunk_size()):
            yield from source.fill(request.body, chunk, room)
            yield from source.line()
    else:
        yield from source.fill(request.body, size, room)


def too_large(size: int) -> FrontError:
    """The refusal of a body."""
    said = f"the body has {size} bytes: the front takes {BODY_BYTES} at most; send a shorter text or a smaller picture"
    return FrontError(413, said)


class Source:
    """What a client sends after its head."""

    def __init__(self, client: socket.socket, came: bytearray, deadline: float) -> None:
        self.client, self.came, self.deadline = client, came, deadline

    def more(self) -> Generator[Wait, Ready, None]:
        """Waits for more bytes. Raises ConnectionError when there are none."""
        piece = yield from receive_some(self.client, self.deadline)
        if not piece:
            raise ConnectionError("the client ended in the middle of a request")
        self.came += piece

    def fill(self, body: bytearray, size: int, room: Room) -> Generator[Wait, Ready, None]:
        """Moves `size` bytes to the end of the body. Raises FrontError, OSError."""
        if len(body) + size > BODY_BYTES:
            raise too_large(len(body) + size)
        end = len(body) + size
        while len(body) < end:
            if not self.came:
                yield from self.more()
            piece = self.came[: end - len(body)]
            room.take_bytes(len(piece))
            body += piece
            del self.came[: len(piece)]

    def line(self) -> Generator[Wait, Ready, bytes]:
        """The next line, without its end. Raises FrontError, OSError."""
        while (end := self.came.find(b"\r\n")) < 0:
            if len(self.came) > HEAD_BYTES:
                raise FrontError(400, "a chunk of the body does not say its size")
            yield from self.more()
        text = bytes(self.came[:end])
        del self.came[: end + 2]
        return text

    def chunk_size(self) -> Generator[Wait, Ready, int]:
        """Bytes of the next chunk; 0 at the end. Raises FrontError, OSError."""
        found = CHUNK.fullmatch((yield from self.line()))
        if not found:
            raise FrontError(400, "a chunk of the body does not say its size")
        return int(found[1], 16)


def model_named(body: bytes | bytearray) -> str | None:
    """The text of `model` in a JSON object, wherever in it; None without one.

    Scanned instead of parsed: a picture would be copied three times.
    """
    depth, at, model = 0, 0, None
    while mark := MARK.search(body, at):
        at = mark.end()
        if mark[0] in b"{[":
            depth += 1
        elif mark[0] in b"]}":
            depth -= 1
        else:
            begin, at = mark.start(), end_of_text(body, at)
            if depth == 1 and body[begin:at] == b'"model"' and (value := TEXT_FOLLOWS.match(body, at)):
                at = end_of_text(body, value.end() + 1)
                model = text_of(bytes(body[value.end() : at])) or model
    return model


def end_of_text(body: bytes | bytearray, at: int) -> int:
    """Where the text in quotation marks that began before `at` is over: behind the first that no backslash escapes."""
    while (end := body.find(b'"', at)) >= 0:
        before = end - 1
        while before >= at and body[before] == ord("\\"):
            before -= 1
        if (end - before) % 2:
            return end + 1
        at = end + 1
    return len(body)


def text_of(quoted: bytes) -> str | None:
    """The text of a JSON string; None for what is none."""
    try:
        return str(json.loads(quoted))
    except ValueError:
        return None
