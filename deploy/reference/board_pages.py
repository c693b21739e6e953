"""docs/reference/boards.md: for each board which way leads to an appliance, what was proven here, what to expect."""

import re
from collections.abc import Iterator

from deploy.formats.image_manifest import media_text
from deploy.image.boards import BOARDS, BoardProfile, DebianBoard
from deploy.reference.tables import JUDGED_BY, markdown_table

OWN, BASE = "own image", "`BASE=`"
ALIKE = "the way alone, on likenesses of vendors' images"


def board_ways() -> str:
    """A row for each board: the ways that lead to an appliance, its media, and what was proven here."""
    head = ("board", "ways", "starts from", "proven here")
    return markdown_table(head, (way_row(board) for board in BOARDS.values()))


def way_row(board: BoardProfile) -> list[str]:
    heading = section_heading(board)
    anchor = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
    return [f"[{heading}](#{anchor})", way_text(board), media_text(board.starts_from), proof_text(board)]


def section_heading(board: BoardProfile) -> str:
    """The board's title and name: titles alone may differ in a sign that no link has."""
    return f"{board.title}, `{board.name}`"


def way_text(board: BoardProfile) -> str:
    """A machine without a device tree of its own has no vendor with an image."""
    return " or ".join([OWN] * isinstance(board, DebianBoard) + [BASE] * bool(board.device_trees))


def proof_text(board: BoardProfile) -> str:
    return f"own image: {JUDGED_BY[board.emulator]}" if isinstance(board, DebianBoard) else ALIKE


def board_sections() -> str:
    """A section for each board, with what to expect of it and where its figures come from."""
    return "\n".join(line for board in BOARDS.values() for line in section_lines(board))


def section_lines(board: BoardProfile) -> Iterator[str]:
    yield f"### {section_heading(board)}\n"
    yield from (f"- {text[0].upper()}{text[1:]}." for text in board.expect)
    if isinstance(board, DebianBoard) and board.lacks:
        yield "- Of its own image:"
        yield from (f"  - {text}." for text in board.lacks)
    yield from (f"- `{name}`: {text}." for name, text in board.sources.items())
    yield ""
