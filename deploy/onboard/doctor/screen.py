"""`boardllama doctor`: one screen about this board, with a next step for each red line."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from ..json_parts import parse_json
from .diagnosis import diagnose
from .facts import Facts, collect_facts
from .lights import Light, Line

COLOURS = {Light.GOOD: "32", Light.LOOK: "33", Light.BAD: "31;1", Light.UNKNOWN: "90"}
INDENT = 16
NARROWEST, WIDEST = 60, 120


def print_diagnosis(as_json: bool) -> int:
    """Looks at this board and prints the screen, or JSON. Returns the exit status: 1 when a line is red."""
    facts = collect_facts()
    lines = diagnose(facts)
    if as_json:
        print(to_json(facts, lines))
    else:
        print(render_screen(board_heading(facts), lines, sys.stdout.isatty()))
    return exit_status(lines)


def exit_status(lines: Iterable[Line]) -> int:
    """1 when a line is red, else 0."""
    return int(any(line.light is Light.BAD for line in lines))


def board_heading(facts: Facts) -> str:
    """The board's name and model; without root, how to see more."""
    more = "" if facts.root else " (as root it sees more: sudo boardllama-doctor)"
    return f"{facts.host}, {facts.board}{more}"


def render_screen(title: str, lines: Iterable[Line], colour: bool) -> str:
    """The title, then the rows of each line, wrapped to the terminal's width. `colour`: with ANSI escapes."""
    width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size((100, 24)).columns))
    return "\n".join([title, *(row for line in lines for row in line_rows(line, width, colour))])


def line_rows(line: Line, width: int, colour: bool) -> Iterator[str]:
    """The line, wrapped, and below its text the next step."""
    light = f"{line.light.value:<4}"
    first, *more = wrap_text(line.text, width) or [""]
    yield f"{paint_text(light, line.light, colour)} {line.name:<{INDENT - 6}} {first}"
    yield from (" " * INDENT + text for text in more)
    yield from (" " * INDENT + text for text in wrap_text(f"-> {line.advice}" if line.advice else "", width))


def wrap_text(text: str, width: int) -> list[str]:
    """At most three rows, so that all checks fit on a screen."""
    return textwrap.wrap(text, width - INDENT, max_lines=3, placeholder=" …", break_on_hyphens=False)


def paint_text(text: str, light: Light, colour: bool) -> str:
    """The text between the ANSI escapes of a light, when `colour` is wanted."""
    return f"\033[{COLOURS[light]}m{text}\033[0m" if colour else text


def to_json(facts: Facts, lines: Iterable[Line]) -> str:
    """One line: {"host": …, "lines": [{"name", "light", "text", "advice"}], "facts": {…}}."""
    told = asdict(facts)
    for row, service in zip(told["services"], facts.services, strict=True):
        row["health"] = service.health.state.name if service.health else None
    return json.dumps({"host": facts.host, "board": facts.board, "lines": line_values(lines), "facts": told})


def line_values(lines: Iterable[Line]) -> list[dict[str, str]]:
    """The lines as JSON takes them: [{"name", "light", "text", "advice"}]."""
    return [{**asdict(line), "light": line.light.name} for line in lines]


def screen_from_json(text: str) -> tuple[str, tuple[Line, ...]]:
    """The heading and the lines in what `to_json` wrote. Raises ValueError, KeyError."""
    told = parse_json(text)
    lines = tuple(Line(row["name"], Light[row["light"]], row["text"], row["advice"]) for row in told["lines"])
    return f"{told['host']}, {told['board']}", lines
