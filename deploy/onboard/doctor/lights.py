"""The lines of a diagnosis: green, yellow, red or grey, what was seen, and what to do next."""

from dataclasses import dataclass
from enum import Enum


class Light(Enum):
    """The colour of a line."""

    GOOD = "ok"
    LOOK = "look"
    BAD = "BAD"
    UNKNOWN = "?"


@dataclass(frozen=True)
class Line:
    """One line: what it is about, what was seen, and what to do next when that is bad or could be better."""

    name: str
    light: Light
    text: str
    advice: str = ""


def good(text: str) -> tuple[Light, str]:
    return Light.GOOD, text


def unknown(text: str = "not known here") -> tuple[Light, str]:
    """A grey line: nothing can be told, or what is seen need not be a fault."""
    return Light.UNKNOWN, text


def look(text: str, advice: str) -> tuple[Light, str, str]:
    """A yellow line: the board serves, and would do better with the `advice`."""
    return Light.LOOK, text, advice


def bad(text: str, advice: str) -> tuple[Light, str, str]:
    """A red line; `advice` is the next thing to do."""
    return Light.BAD, text, advice


Finding = tuple[Light, str] | tuple[Light, str, str]


def in_megabytes(size: int) -> str:
    """The size in decimal megabytes, as models and cards are sold."""
    return f"{size // 1_000_000} MB"
