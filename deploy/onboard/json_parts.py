"""JSON of others: parsed with one kind of error, or looked through, where a picture would be copied three times."""

import json
import re
from collections.abc import Iterator
from typing import Any

MARK = re.compile(rb'["{}\[\]]')


def parse_json(text: str | bytes | bytearray) -> Any:
    """What a JSON text says. Raises ValueError for any other text.

    Brackets nested deeper than Python follows, and numbers of more digits than it reads, are no JSONDecodeError.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def json_parts(body: bytes | bytearray) -> Iterator[tuple[int, int, int]]:
    """Each bracket, and each text in its quotation marks: in how many lists and objects, from where, up to where."""
    depth, at = 0, 0
    while mark := MARK.search(body, at):
        begin, at = mark.span()
        if mark[0] == b'"':
            at = end_of_text(body, at)
        else:
            depth += 1 if mark[0] in b"{[" else -1
        yield depth, begin, at


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
    """What a JSON string says; None for what is none."""
    try:
        return str(parse_json(quoted))
    except ValueError:
        return None
