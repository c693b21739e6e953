"""The rooms of deploy/ and what each imports, read from the code itself, and a table of them."""

import ast
from collections.abc import Mapping
from pathlib import Path

import grimp

from deploy.paths import REPO
from deploy.reference.tables import markdown_table

DEPLOY = REPO / "deploy"
STORY = "deploy.py"
Uses = Mapping[str, frozenset[str]]


def room_uses() -> Uses:
    """What the modules of each room import, as rooms: folders of deploy/, modules beside them, or STORY."""
    graph = grimp.build_graph("deploy", cache_dir=None)
    found: dict[str, set[str]] = {STORY: {room_of(name) for name in story_imports()}}
    for module in graph.modules - {"deploy"}:
        imported = {room_of(name) for name in graph.find_modules_directly_imported_by(module)}
        found.setdefault(room_of(module), set()).update(imported)
    return {room: frozenset(uses - {room}) for room, uses in found.items()}


def room_of(module: str) -> str:
    """The room of a module such as deploy.hosts.remote: hosts/, or settings.py."""
    name = module.split(".")[1]
    return f"{name}/" if (DEPLOY / name).is_dir() else f"{name}.py"


def story_imports() -> list[str]:
    """The modules that deploy.py imports. It is a file that pyinfra runs, and no module of the package."""
    parsed = ast.parse((REPO / STORY).read_text())
    nodes = [node for node in parsed.body if isinstance(node, ast.ImportFrom)]
    return [
        f"{node.module}.{name.name}" for node in nodes for name in node.names if str(node.module).startswith("deploy")
    ]


def rooms_reached(uses: Uses, room: str) -> frozenset[str]:
    """The rooms that a room imports, and those that they import, and so on."""
    return uses[room].union(*(rooms_reached(uses, each) for each in uses[room]))


def plain_uses(uses: Uses) -> Uses:
    """The uses that do not follow from others: without a -> c where there are a -> b and b -> c."""
    return {room: used.difference(*(rooms_reached(uses, each) for each in used)) for room, used in uses.items()}


def rooms_in_order(uses: Uses) -> list[str]:
    """The rooms, each before those that it imports."""
    return sorted(uses, key=lambda room: (-len(rooms_reached(uses, room)), room))


def rooms_table() -> str:
    """What each room holds, as its own docstring says, and what it imports."""
    uses = room_uses()
    rows = [[f"`{room}`", room_text(room), ", ".join(sorted(uses[room]))] for room in rooms_in_order(uses)]
    parts = sorted(path.parent.name for path in (DEPLOY / "onboard").glob("*/__init__.py"))
    rows += [[f"`onboard/{part}/`", room_text(f"onboard/{part}/"), ""] for part in parts]
    return markdown_table(("room", "what is in it", "imports"), rows)


def room_text(room: str) -> str:
    """The first paragraph of the docstring."""
    path = Path(REPO if room == STORY else DEPLOY, room)
    text = ast.get_docstring(ast.parse((path / "__init__.py" if path.is_dir() else path).read_text())) or ""
    return " ".join(text.split("\n\n")[0].split())
