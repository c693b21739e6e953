"""A command in a terminal of its own: what the screen shows, from moment to moment."""

import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Iterable, Iterator
from fcntl import ioctl
from typing import NamedTuple

import pyte

COLUMNS, LINES = 110, 28
PROMPT = "$ "
SILENCE_SECONDS = 900.0
# So long a picture stands at most: nobody wants to see a compiler think.
LONGEST_SECONDS = 1.2
SHORTEST_SECONDS = 0.15
END_SECONDS = 6.0
# Where a word begins: after none of these signs, or after the end of a style, which is a letter, too.
BEGIN = rb"(\x1b\[[0-9;]*m|(?<![\w-]))"


class Span(NamedTuple):
    """Signs of one line that look alike. `color`: a name of pyte's, or six hexadecimal digits."""

    text: str
    color: str
    bold: bool


class Frame(NamedTuple):
    """What a screen shows, line by line, and for how many seconds."""

    lines: tuple[tuple[Span, ...], ...]
    seconds: float


class Typed(NamedTuple):
    """A command as a person types it: `shown`, and as it is run. `answers`: what is typed when the text is seen."""

    shown: str
    words: tuple[str, ...]
    answers: tuple[tuple[str, str], ...] = ()


def record(commands: Iterable[Typed], hidden: dict[str, str]) -> list[Frame]:
    """The frames of commands that run one after the other on one screen.

    `hidden`: texts of this machine, and what stands for them. Raises RuntimeError for one that ends badly, or is silent
    for a quarter of an hour.
    """
    screen = pyte.Screen(COLUMNS, LINES)
    stream, frames = pyte.ByteStream(screen), list[Frame]()
    for command in commands:
        stream.feed(f"{PROMPT}{command.shown}\r\n".encode())
        frames.append(frame_of(screen, LONGEST_SECONDS))
        last = time.monotonic()
        for piece in output_of(command):
            now = time.monotonic()
            stream.feed(hide(piece, hidden))
            shown = frame_of(screen, SHORTEST_SECONDS)
            if shown.lines != frames[-1].lines:
                if now - last >= SHORTEST_SECONDS:
                    frames[-1] = frames[-1]._replace(seconds=min(now - last, LONGEST_SECONDS))
                    frames.append(shown)
                    last = now
                else:
                    frames[-1] = shown
    return [*frames[:-1], frame_of(screen, END_SECONDS)]


def hide(piece: bytes, hidden: dict[str, str]) -> bytes:
    """The output with other words for the hidden ones, where they stand by themselves."""
    for text, instead in hidden.items():
        piece = re.sub(BEGIN + re.escape(text.encode()) + rb"(?![\w-])", rb"\1" + instead.encode(), piece)
    return piece


def output_of(command: Typed) -> Iterator[bytes]:
    """What a command prints in a terminal, whole lines where it can be. Raises RuntimeError."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(command.words[0], command.words, os.environ | {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS)})
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    answers, seen = list(command.answers), ""
    try:
        while piece := read_piece(terminal):
            seen += piece.decode(errors="replace")
            yield piece
            if answers and answers[0][0] in seen:
                os.write(terminal, f"{answers.pop(0)[1]}\n".encode())
                seen = ""
    finally:
        os.close(terminal)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if ended not in (0, 1):  # 1: the doctor has found something
        raise RuntimeError(f"{command.shown} ended with status {ended}: {seen[-2000:]}")


def read_piece(terminal: int) -> bytes:
    """What the command has printed; b"" at its end. Raises RuntimeError when nothing comes."""
    if not select.select([terminal], [], [], SILENCE_SECONDS)[0]:
        raise RuntimeError(f"the command printed nothing for {SILENCE_SECONDS:.0f} s")
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux ends a terminal so
        return b""


def frame_of(screen: pyte.Screen, seconds: float) -> Frame:
    """What the screen shows now."""
    return Frame(tuple(spans_of(screen, row) for row in range(LINES)), seconds)


def spans_of(screen: pyte.Screen, row: int) -> tuple[Span, ...]:
    """A line of the screen, without blanks at its end."""
    spans: list[Span] = []
    for column in range(COLUMNS):
        sign = screen.buffer[row][column]
        if spans and spans[-1][1:] == (sign.fg, sign.bold):
            spans[-1] = spans[-1]._replace(text=spans[-1].text + sign.data)
        else:
            spans.append(Span(sign.data, sign.fg, sign.bold))
    while spans and not spans[-1].text.strip():
        spans.pop()
    return tuple([*spans[:-1], spans[-1]._replace(text=spans[-1].text.rstrip())] if spans else [])
