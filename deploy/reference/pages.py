"""Which part of which page is made from what. A part stands between two comments of Markdown, which carry its name."""

import re
from collections.abc import Callable
from pathlib import Path

from deploy.errors import BoardllamaError
from deploy.paths import REPO
from deploy.reference.board_pages import board_sections, board_ways
from deploy.reference.catalogue_table import catalogue_table, pins_table
from deploy.reference.command_tables import board_table, make_table, verbs_sections
from deploy.reference.config_table import config_table
from deploy.reference.messages import messages_page
from deploy.reference.place_tables import places_table, served_table
from deploy.reference.rooms import rooms_table
from deploy.reference.rooms_drawing import rooms_drawing
from deploy.reference.settings_table import settings_tables
from deploy.reference.tables import boards_table, cpus_table, lacks_list

DOCS = REPO / "docs"
PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "explanation/architecture.md": {"rooms": rooms_table},
    "how-to/images.md": {"boards": boards_table, "lacks": lacks_list},
    "reference/boards.md": {"ways": board_ways, "boards": board_sections},
    "reference/catalogue.md": {"catalogue": catalogue_table, "pins": pins_table},
    "reference/commands.md": {"verbs": verbs_sections, "make": make_table, "board": board_table},
    "reference/config-json.md": {"keys": config_table},
    "reference/messages.md": {"messages": messages_page},
    "reference/settings.md": {"settings": settings_tables, "cpus": cpus_table},
    "reference/target-files.md": {"served": served_table, "places": places_table},
}


def generated_pages() -> dict[Path, str]:
    """The text of every page with parts, as it must be, by its path. Raises BoardllamaError where marks are missing."""
    found = {DOCS / name: with_parts(DOCS / name, parts) for name, parts in PARTS.items()}
    return found | {DOCS / "explanation/rooms.svg": rooms_drawing()}


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
