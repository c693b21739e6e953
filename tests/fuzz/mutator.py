"""Inputs that nobody meant, made of real ones: the same chance makes the same input.

hypothesis gives its own `random.Random`, of which every draw can be made smaller; a long run gives a seeded one.
"""

import json
import re
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any

LONGEST = 1 << 16  # bytes of an input
NUMBER = re.compile(rb"-?\d+(\.\d+)?")
WORD = re.compile(rb"[A-Za-z_][\w.-]*")
NUMBERS = (
    *b"0 -1 1 255 65535 65536 70000 2147483648 4294967296 9223372036854775808 1e999 -1e999 NaN Infinity 0.5".split(),
    *(b"9" * 40, b"9" * 5000, "\u0663".encode(), "\u00b2".encode()),
)
BINARY = (0, 1, 2, 255, 256, *((1 << bits) - 1 for bits in (31, 32, 63, 64)), *(1 << bits for bits in (30, 31, 48, 63)))
TEXTS = (
    *(b"\0", b"\n", b"\r\n", b"\n\n", b"\x1b[2J", b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\xed\xa0\x80", b'"', b"\\"),
    *(
        b"'",
        b"=",
        b":",
        b",",
        b";",
        b"#",
        b"%",
        b"/",
        b"..",
        b"//a:",
        b"null",
        b"true",
        b"{}",
        b"[]",
        b'""',
        b"-",
        b" ",
    ),
    *("\u2028".encode(), "\u202e".encode(), "\ue000".encode(), b"\\ud800", b"\\u0000", b"\\u001b[2J", b"\\n", b"\t"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 70_000, 1 << 31, 1 << 64, 10**40, 0.5, 1e308, float("inf"), float("nan")),
    *(
        "",
        "a",
        "\0",
        "\n",
        "\x1b[2J",
        "\ud800",
        "\u00b2",
        "9" * 5000,
        "x" * 3000,
        "../../etc/passwd",
        "/dev/zero",
        "::1",
    ),
    *([], {}, [[]], [None], {"": None}, [0] * 2000),
)
DEEP = ((b"[", b"]"), (b'{"a":', b"}"), (b"(", b")"), (b"<a>", b"</a>"))


class Mutator:
    """Makes inputs of `examples`, with `words` in them. All choices are drawn from the chance that it is given."""

    def __init__(self, examples: Sequence[bytes], words: Sequence[bytes] = ()) -> None:
        self.examples, self.words = examples, (*words, *TEXTS)
        own = {found for one in examples for found in WORD.findall(one[:4000])}
        self.found = (*sorted(own)[:400], *words) or (b"a",)
        self.values = {number: value for number, one in enumerate(examples) if (value := json_value(one)) is not None}

    def make(self, chance: Random) -> bytes:
        """An input: an example with one change or several."""
        number = chance.randrange(len(self.examples))
        data = bytearray(self.examples[number])
        if number in self.values and chance.randrange(2):
            data = bytearray(json.dumps(changed_value(self.values[number], chance)).encode("utf-8", "replace"))
        for _ in range(
            chance.choice((0, 1, 1, 1, 2, 3, 6)) if number in self.values else chance.choice((1, 1, 2, 3, 6))
        ):
            chance.choice(EDITS)(self, data, chance)
        return bytes(data[:LONGEST])


def place_in(data: bytearray, chance: Random) -> int:
    return chance.randrange(len(data) + 1)


def flip_bit(_: Mutator, data: bytearray, chance: Random) -> None:
    """One bit is another."""
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def set_byte(_: Mutator, data: bytearray, chance: Random) -> None:
    """One byte is another."""
    if data:
        data[chance.randrange(len(data))] = chance.randrange(256)


def cut_span(_: Mutator, data: bytearray, chance: Random) -> None:
    """Some bytes are gone."""
    at = place_in(data, chance)
    del data[at : at + chance.choice((1, 2, 8, 64, 1024))]


def cut_end(_: Mutator, data: bytearray, chance: Random) -> None:
    """The end is gone."""
    del data[place_in(data, chance) :]


def repeat_span(_: Mutator, data: bytearray, chance: Random) -> None:
    """Some bytes are there many times."""
    at = place_in(data, chance)
    piece = bytes(data[at : at + chance.choice((1, 1, 4, 20, 200))])
    data[at:at] = piece * chance.choice((1, 1, 2, 16, 300, 9000))
    del data[LONGEST:]


def put_word(mutator: Mutator, data: bytearray, chance: Random) -> None:
    """A word that means something stands there, too."""
    at = place_in(data, chance)
    data[at:at] = chance.choice(mutator.words)


def swap_word(mutator: Mutator, data: bytearray, chance: Random) -> None:
    """A word stands where another stood."""
    swap_match(WORD, mutator.found, data, chance)


def swap_number(_: Mutator, data: bytearray, chance: Random) -> None:
    """A number stands where another stood."""
    swap_match(NUMBER, NUMBERS, data, chance)


def swap_match(pattern: re.Pattern[bytes], others: Sequence[bytes], data: bytearray, chance: Random) -> None:
    """Another text stands where the pattern matches next behind a place."""
    if found := pattern.search(bytes(data), place_in(data, chance)) or pattern.search(bytes(data)):
        data[found.start() : found.end()] = chance.choice(others)


def set_binary(_: Mutator, data: bytearray, chance: Random) -> None:
    """Bytes are a number that means something."""
    layout, at = chance.choice(("<H", "<I", "<Q", ">H", ">I")), place_in(data, chance)
    size = struct.calcsize(layout)
    data[at : at + size] = struct.pack(layout, chance.choice(BINARY) & ((1 << 8 * size) - 1))


def join_other(mutator: Mutator, data: bytearray, chance: Random) -> None:
    """The end of another example follows."""
    other = chance.choice(mutator.examples)
    data[place_in(data, chance) :] = other[chance.randrange(len(other) + 1) :]


def nest_deep(_: Mutator, data: bytearray, chance: Random) -> None:
    """Brackets within brackets."""
    begin, end = chance.choice(DEEP)
    at, depth = place_in(data, chance), chance.choice((90, 1500, 9000))
    data[at:at] = begin * depth + end * chance.choice((0, depth))


EDITS: tuple[Callable[[Mutator, bytearray, Random], None], ...] = (
    *(flip_bit, set_byte, cut_span, cut_end, repeat_span, put_word, put_word, swap_word, swap_word),
    *(swap_number, swap_number, set_binary, join_other, nest_deep),
)


def json_value(example: bytes) -> Any:
    """What an example says as JSON; None for one that is none."""
    with suppress(ValueError):
        return json.loads(example)
    return None


def changed_value(value: Any, chance: Random) -> Any:
    """The value with one part of it changed, wherever in it."""
    if not value or not isinstance(value, (dict, list)) or not chance.randrange(6):
        return chance.choice(VALUES)
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    copy: Any = value.copy()
    at = chance.choice(keys)
    way = chance.randrange(8)
    if way == 0:
        del copy[at]
    elif way == 1 and isinstance(copy, list):
        copy.append(copy[at])
    elif way == 1:
        copy[chance.choice(("", "\0", "x", at.upper()))] = copy[at]
    elif way == 2:
        copy[at] = copy[chance.choice(keys)]
    else:
        copy[at] = changed_value(copy[at], chance)
    return copy
