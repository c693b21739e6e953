"""Links of the pages: whether each local one leads to a file, and to a heading that the file has."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from deploy.paths import REPO

LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)(?: \"[^\"]*\")?\)")
FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
# What a program or a page names without a link, by its path from the top.
MENTION = re.compile(r"(?<![\w/.~-])docs/[\w./-]*\w\.(?:md|svg|json)\b")


class Link(NamedTuple):
    """A link of a page as it stands there, and the line."""

    page: Path
    target: str
    line: int

    @property
    def fault(self) -> str:
        """Why it leads nowhere; "" when it does not."""
        if re.match(r"[a-z]+:", self.target):
            return ""
        name, _, anchor = self.target.partition("#")
        path = (self.page.parent / name).resolve() if name else self.page
        if not path.exists():
            return "there is no such file"
        if path != REPO and REPO not in path.parents:
            return "it leads out of the repository"
        if anchor and path.suffix == ".md" and anchor not in anchors_of(path):
            return f"{path.name} has no heading #{anchor}"
        return ""


def pages() -> list[Path]:
    """Every page of the repository."""
    return [*sorted(REPO.glob("*.md")), *sorted((REPO / "docs").rglob("*.md"))]


def links_of(page: Path) -> Iterator[Link]:
    """The links of a page; those of code blocks are none."""
    text = FENCE.sub(lambda block: "\n" * block[0].count("\n"), page.read_text())
    for number, line in enumerate(text.splitlines(), 1):
        plain = re.sub(r"`[^`]*`", "", line) if not line.startswith("    ") else ""
        yield from (Link(page, found[1], number) for found in LINK.finditer(plain))


@cache
def anchors_of(page: Path) -> frozenset[str]:
    """The anchors that the headings of a page get, as code hosts make them."""
    found: list[str] = []
    for heading in re.findall(r"^#{1,6} (.+?)(?: #+)?$", FENCE.sub("", page.read_text()), re.M):
        name = anchor_of(heading)
        found.append(f"{name}-{found.count(name)}" if name in found else name)
    return frozenset(found)


def anchor_of(heading: str) -> str:
    """Letters, digits, hyphens: signs go, and each blank is a hyphen."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
