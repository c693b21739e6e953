"""Which part of which page is made from what. A part stands between two comments of Markdown, which carry its name."""

import re
from collections.abc import Callable
from pathlib import Path

from deploy.errors import BoardllamaError
from deploy.paths import REPO
from deploy.reference.board_pages import board_sections, board_ways
from deploy.reference.rooms import rooms_picture, rooms_table
from deploy.reference.settings_table import settings_tables
from deploy.reference.tables import boards_table, cpus_table, lacks_list

PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "architecture.md": {"picture": rooms_picture, "rooms": rooms_table},
    "boards.md": {"ways": board_ways, "boards": board_sections},
    "images.md": {"boards": boards_table, "lacks": lacks_list},
    "settings.md": {"settings": settings_tables, "cpus": cpus_table},
}


def generated_pages() -> dict[Path, str]:
    """The text of every page with parts, as it must be, by its path. Raises BoardllamaError where marks are missing."""
    return {REPO / "docs" / name: with_parts(REPO / "docs" / name, parts) for name, parts in PARTS.items()}


def with_parts(page: Path, parts: dict[str, Callable[[], str]]) -> str:
    """The page's text with its parts made anew."""
    text = page.read_text()
    for name, make in parts.items():
        begin, end = f"<!-- {name}: made by `make docs` -->\n", f"<!-- end of {name} -->"
        marked = re.compile(rf"(?<={re.escape(begin)}).*?(?={re.escape(end)})", re.DOTALL)
        if len(marked.findall(text)) != 1:
            raise BoardllamaError(f"{page}: {begin.strip()} and {end} must be there once: write both comments")
        text = marked.sub(f"\n{make()}\n".replace("\\", r"\\"), text)
    return text
