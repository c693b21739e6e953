"""What inventory/group_data/all.py says of each setting, for people who edit it and for docs/settings.md."""

import re
import runpy
from collections.abc import Iterator
from typing import Any, NamedTuple

from deploy.errors import BoardllamaError
from deploy.paths import REPO

DEFAULTS = REPO / "inventory" / "group_data" / "all.py"
HEADING = re.compile(r"(?P<title>[^.]+)\. (?P<effect>.+)\.")


class Explained(NamedTuple):
    """A setting with its default, what it does, and the group that it stands in. `effect`: when a change is seen."""

    name: str
    default: Any
    text: str
    group: str
    effect: str


def explained_settings() -> list[Explained]:
    """Every setting of all.py, in its order. Raises BoardllamaError for a setting or a group without its comment."""
    values, group, effect = runpy.run_path(str(DEFAULTS)), "", ""
    found = []
    for comment, name in comments_above(DEFAULTS.read_text()):
        if name:
            if not comment or not group:
                raise BoardllamaError(f"{DEFAULTS}: {name} has no comment, or stands in no group: write what it does")
            found.append(Explained(name, values[name], comment, group, effect))
        elif heading := HEADING.fullmatch(comment):
            group, effect = heading["title"], heading["effect"]
        else:
            raise BoardllamaError(f"{DEFAULTS}: {comment!r} heads a group: write its title, and when it takes effect")
    return found


def comments_above(source: str) -> Iterator[tuple[str, str]]:
    """Each comment as one line, with the name that is assigned below it; "" for the name above a blank line."""
    said: list[str] = []
    for line in source.splitlines():
        assigned = re.match(r"([a-z]\w*) = ", line)
        if line.startswith("# "):
            said.append(line.removeprefix("# "))
        elif assigned or said:
            yield " ".join(said), assigned[1] if assigned else ""
            said = []
