"""Long texts of a request, such as pictures: they stay in its body, whose bytes go upstream as they came.

Parsed, taken out, and written again they would be in memory three times.
"""

import os
import re

from ..json_parts import json_parts
from ..wire.message import Declined

LONG = 512  # bytes of a text
# What is no long text is parsed: 1 MB of it, and a few times as much of what it becomes.
PARSED_BYTES = 1 << 20
# A parser in C goes down a level of its stack with each level of nesting: thousands of them would be megabytes.
DEEPEST = 100
# The beginning of a picture that is a URL stays readable.
URL = re.compile(rb"data:[^,\"]{0,100},")
# Half a character, which llama-server refuses: such a text is parsed, and gets a question mark.
SURROGATES = (b"\\ud", b"\\uD")


class LongTexts:
    """The body of a request, in whose outline a mark, which no client can guess, stands for each long text.

    `places`: where the texts begin and end in the body.
    """

    def __init__(self, body: bytearray) -> None:
        self.body, self.mark = body, ""
        self.places: list[tuple[int, int]] = []

    def outline(self) -> bytes:
        """The JSON of the body with marks for its long texts. Raises Declined when the JSON is nested too deep, or when
        more is left than may be parsed.
        """
        self.mark = os.urandom(8).hex()
        pieces, size, at = list[bytes | bytearray](), len(self.body), 0
        for depth, begin, end in json_parts(self.body):
            if depth > DEEPEST:
                raise Declined(400, f"the body is nested deeper than {DEEPEST} levels")
            if end - begin > LONG and not any(self.body.find(half, begin, end) >= 0 for half in SURROGATES):
                url = URL.match(self.body, begin + 1, end)
                first = url.end() if url else begin + 1
                pieces += [self.body[at:first], f"{self.mark}:{len(self.places)}".encode()]
                self.places.append((first, end - 1))
                size, at = size - (end - 1 - first), end - 1
        if size > PARSED_BYTES:
            said = f"the body has {size} bytes beside texts of more than {LONG}: at most {PARSED_BYTES}"
            raise Declined(413, f"{said}; send it in several requests")
        return b"".join([*pieces, self.body[at:]])

    def restore(self, text: bytes) -> list[bytes | memoryview]:
        """JSON made of the outline, in pieces, with each text in its place again."""
        if not self.places:
            return [text]
        pieces: list[bytes | memoryview] = []
        body, at = memoryview(self.body), 0
        for mark in re.finditer(b"%b:([0-9]+)" % self.mark.encode(), text):
            piece, quote = body[slice(*self.places[int(mark[1])])], text.rfind(b'"', at, mark.start())
            # JSON that is a text in JSON, as arguments of tools are, is escaped once more.
            is_nested = text[quote - 1 : quote] == b"\\"
            again = bytes(piece).replace(b"\\", b"\\\\").replace(b'"', b'\\"') if is_nested else piece
            pieces += [text[at : mark.start()], again]
            at = mark.end()
        return [*pieces, text[at:]]
