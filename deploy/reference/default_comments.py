"""What deploy/defaults.py says of each setting, for docs/reference/settings.md."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from deploy import defaults
from deploy.errors import BoardllamaError

SOURCE = Path(defaults.__file__)
HEADING = re.compile(r"(?P<title>[^.]+)\. (?P<effect>.+)\.")


class Explained(NamedTuple):
    """A setting with its default, what it does, and the group that it stands in. `effect`: when a change is seen."""

    name: str
    default: Any
    text: str
    group: str
    effect: str


def explained_settings() -> list[Explained]:
    """Every setting of deploy/defaults.py, in its order.

    Raises BoardllamaError for a setting or a group without its comment.
    """
    group, effect = "", ""
    found = []
    for comment, name in comments_above(SOURCE.read_text()):
        if name:
            if not comment or not group:
                raise BoardllamaError(f"{SOURCE}: {name} has no comment, or stands in no group: write what it does")
            found.append(Explained(name, getattr(defaults, name), comment, group, effect))
        elif heading := HEADING.fullmatch(comment):
            group, effect = heading["title"], heading["effect"]
        else:
            raise BoardllamaError(f"{SOURCE}: {comment!r} heads a group: write its title, and when it takes effect")
    return found


def comments_above(source: str) -> Iterator[tuple[str, str]]:
    """Each comment as one line, with the name that is assigned below it; "" for the name above a blank line."""
    said: list[str] = []
    for line in source.splitlines():
        assigned = re.match(r"([a-z]\w*)(?:: [^=]+)? = ", line)
        if line.startswith("# "):
            said.append(line.removeprefix("# "))
        elif assigned or said:
            yield " ".join(said), assigned[1] if assigned else ""
            said = []
