"""The body of a request: read within bounds, so that no client and no crowd of them fills the memory."""

import json
import re
import threading
import time
from typing import Any

from .declined import Declined
from .wire import Head, Wire, body_size

# A picture of 6 MB, in base64. Larger ones are for the client to scale down: no model sees that many points.
BODY_LIMIT = 8 << 20  # bytes
# Bodies up to this size are read by all at once, larger ones by one client after another.
SMALL_BODY = 64 << 10  # bytes
TURN_SECONDS = 60.0
# A body has these seconds, and more at this rate in bytes a second.
BODY_SECONDS, SLOWEST_CLIENT = 10.0, 250_000
# A parser in C goes down a level of its stack with each level of nesting: thousands of them would be megabytes.
DEEPEST = 100
TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
BRACKET = re.compile(rb"[\[{\]}]")

_turn = threading.Lock()


class Turn:
    """The turn of a client to hold a large request in memory: a single one does at a time."""

    def __init__(self) -> None:
        self.is_held = False

    def take(self, size: int) -> None:
        """Returns when a body of so many bytes may be read. Raises Declined when that takes too long."""
        if size > BODY_LIMIT:
            raise Declined(413, f"the body has {size} bytes: at most {BODY_LIMIT}")
        if size > SMALL_BODY:
            self.is_held = _turn.acquire(timeout=TURN_SECONDS)
            if not self.is_held:
                raise Declined(503, "other large requests are being read: try again")

    def give_back(self) -> None:
        """Lets the next client have its turn, unless that is done already."""
        if self.is_held:
            self.is_held = False
            _turn.release()


def announced_size(head: Head) -> int:
    """The bytes that a body may have, by its head. Raises Declined when the head says no number."""
    return BODY_LIMIT if "transfer-encoding" in head.headers else body_size(head.headers)


def read_request(wire: Wire, head: Head) -> dict[str, Any]:
    """The JSON object that a request holds. Raises Declined with what is wrong."""
    if "continue" in head.headers.get("expect", "").lower():
        wire.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    size = announced_size(head)
    if not size:
        raise Declined(400, "missing request body")
    seconds = BODY_SECONDS + size / SLOWEST_CLIENT
    try:
        return parse_request(read_text(wire, head, time.monotonic() + seconds))
    except TimeoutError:
        raise Declined(408, f"the body did not come within {seconds:.0f} s") from None


def read_text(wire: Wire, head: Head, deadline: float) -> str:
    """The text of a body. Raises Declined when it is too long, or nested so deep that no parser should have it."""
    held = bytearray()
    try:
        for piece in wire.take_body(head.headers, deadline):
            held += piece
            if len(held) > BODY_LIMIT:
                raise Declined(413, f"the body has more than {BODY_LIMIT} bytes")
    except ValueError as error:
        raise Declined(400, f"the body is cut into no chunks: {error}") from None
    if is_deep(held):
        raise Declined(400, f"the body is nested deeper than {DEEPEST} levels")
    return held.decode("utf-8", "replace")


def parse_request(text: str) -> dict[str, Any]:
    """The object. Raises Declined when the text is none."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Declined(400, f"the body is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise Declined(400, "the body must be a JSON object")
    return value


def is_deep(text: bytearray) -> bool:
    """Whether lists and objects are nested deeper than DEEPEST. Most bodies have fewer of them altogether."""
    if text.count(b"[") + text.count(b"{") <= DEEPEST:
        return False
    depth = 0
    for bracket in BRACKET.finditer(TEXT.sub(b"", text)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > DEEPEST:
            return True
    return False
