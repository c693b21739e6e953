"""What the target's programs may import, and what docs/explanation/architecture.md shows of the rooms.

Which room imports which, `make lint` checks: the contract is in pyproject.toml.
"""

import ast
import re
import sys
from pathlib import Path

import pytest

from deploy.paths import REPO
from deploy.reference.rooms import plain_uses, room_uses, rooms_reached

ONBOARD = REPO / "deploy" / "onboard"
FILES = [*sorted(ONBOARD.rglob("*.py")), ONBOARD / "boardllama"]
# Targets have Python 3.10 or newer: what came later, and what Python 3.13 has no more, is not on all of them.
LATER = {"annotationlib", "compression", "tomllib"}
GONE = set(
    """
    aifc asynchat asyncore audioop binhex cgi cgitb chunk crypt distutils imghdr imp lib2to3 mailcap msilib nis nntplib
    ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib uu xdrlib
    """.split()
)
STANDARD = sys.stdlib_module_names - LATER - GONE
# Each start and each end of the service waits for these two programs.
FEW = {
    "watch.py": {"contextlib", "os", "signal", "socket", "sys", "time"},
    "explain.py": {"collections.abc", "contextlib", "os"},
}


def imports(path: Path) -> set[str]:
    """The modules that a file imports by their full names, anywhere in it; "." for one of its own package."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." if node.level else str(node.module))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ONBOARD)))
def test_what_runs_on_the_target_imports_the_standard_library_alone(path: Path) -> None:
    own = "" if path.suffix else "onboard"  # a module names its package by dots, and the program has no package
    assert {name for name in imports(path) if name.split(".")[0] not in STANDARD | {own}} == set()


@pytest.mark.parametrize("name", FEW)
def test_the_programs_beside_the_server_import_little(name: str) -> None:
    assert imports(ONBOARD / name) <= FEW[name]


def test_the_picture_shows_all_that_is_imported_and_nothing_twice() -> None:
    uses = room_uses()
    plain = plain_uses(uses)
    for room in uses:
        assert rooms_reached(plain, room) == rooms_reached(uses, room)
        for used in plain[room]:
            assert not any(used in rooms_reached(uses, other) for other in plain[room] - {used}), (room, used)


@pytest.mark.parametrize("page", ["architecture.md", "style.md"])
def test_every_file_that_the_page_names_is_there(page: str) -> None:
    text = (REPO / "docs/explanation" / page).read_text()
    named = set(re.findall(r"\b(?:deploy|inventory|templates|tests|docs)/[\w./-]*\w", text))
    assert named and [name for name in sorted(named) if not (REPO / name).exists()] == []
