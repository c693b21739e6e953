"""The body of a request: read within bounds, so that no client and no crowd of them fills the memory."""

import threading
from typing import Any

from ..json_parts import parse_json
from ..wire.message import Declined, Head, Incoming, body_deadline, most_bytes, require_size
from ..wire.talk import hold_talk
from .long_texts import DEEPEST, LongTexts

# Bodies up to this size are read by all at once, larger ones by one client after another.
SMALL_BODY = 64 << 10  # bytes
TURN_SECONDS = 60.0

_turn = threading.Lock()


class Turn:
    """The turn of a client to hold a large request in memory: a single one does at a time."""

    def __init__(self) -> None:
        self.is_held = False

    def take(self, size: int) -> None:
        """Returns when a body of so many bytes may be read. Raises Declined when that takes too long."""
        require_size(size)
        if size > SMALL_BODY:
            self.is_held = _turn.acquire(timeout=TURN_SECONDS)
            if not self.is_held:
                raise Declined(503, "other large requests are being read: try again", retry=5)

    def give_back(self) -> None:
        """Lets the next client have its turn, unless that is done already."""
        if self.is_held:
            self.is_held = False
            _turn.release()


def read_body(incoming: Incoming, head: Head) -> bytearray:
    """The body of a request. Raises Declined with what is wrong."""
    body = bytearray()
    try:
        hold_talk(incoming.fill_body(body, head, lambda size: None, body_deadline(head)))
    except TimeoutError:
        raise Declined(408, f"of {most_bytes(head)} bytes {len(body)} came in time: send it faster") from None
    if not body:
        raise Declined(400, "missing request body")
    return body


def parse_request(texts: LongTexts) -> dict[str, Any]:
    """The JSON object that a request is, with marks for its long texts. Raises Declined with what is wrong."""
    text = texts.body if is_simple(texts.body) else texts.outline()
    try:
        value = parse_json(text.decode("utf-8", "replace"))
    except ValueError as error:
        raise Declined(400, f"the body is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise Declined(400, "the body must be a JSON object")
    return value


def is_simple(body: bytearray) -> bool:
    """Whether a parser may have all of the body: most are small, with fewer brackets than make one that is too deep."""
    return len(body) <= SMALL_BODY and body.count(b"[") + body.count(b"{") <= DEEPEST
