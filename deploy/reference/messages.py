"""docs/reference/messages.md: what boardllama may say when something is not as it must be, gathered from the code.

A message is a text that is raised, refused with, found by the doctor, or returned by a function that says why: of each
the words that stand in the source, with … where a value comes. A message may be put together of several.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from deploy.paths import REPO, typed
from deploy.reference.tables import markdown_table

# Rooms in the order in which a user meets them, and what the user was doing.
ROOMS = {
    "deploy": "Settings and inventories",
    "deploy/stages": "A deploy",
    "deploy/hosts": "A deploy: reaching a host",
    "deploy/build": "A build",
    "deploy/models": "A model",
    "deploy/vm": "The VM",
    "deploy/debian": "Root trees",
    "deploy/image": "`make image`",
    "deploy/flash": "`make flash`, `make labels`",
    "deploy/formats": "Manifests and block maps",
    "deploy/doctor": "`make doctor`, from the controller",
    "deploy/fleet": "Gateways, channels, monitors, bundles",
    "deploy/tune": "`make tune`",
    "deploy/controller": "The controller",
    "deploy/onboard": "On the board",
    "deploy/onboard/doctor": "The doctor, on the board",
}
# Besides what is raised: a host is refused with it, the doctor says it with what to do.
SAYERS = {"refuse": (0,), "bad": (0, 1), "look": (0, 1), "Finding": (1, 2)}
# How the docstring of a function begins that returns messages, or parts of messages.
SAYS_WHY = ("Why ", "A sentence", "One line for", "One of pydantic's errors as a sentence", "What a user is told")
# No user sees these: a program asks, or a test.
INTERNAL = {"AssertionError", "NotImplementedError", "StopIteration", "KeyError", "SystemExit", "KeyboardInterrupt"}
PLACE = "…"


def messages_page() -> str:
    """A table for each room. Every text is there once in a room, in the order of the alphabet."""
    parts = []
    for room, title in ROOMS.items():
        rows = sorted({(said, path.name) for path in files_of(room) for said in messages_in(path)}, key=spelled)
        cells = [[as_code(said), name] for said, name in rows]
        if rows:
            parts.append(f"## {title}\n\n{markdown_table(('message', f'in {room}/'), cells)}")
    return "\n".join(parts)


def as_code(text: str) -> str:
    """Markdown that shows a text as it is, also one with backticks."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def spelled(row: tuple[str, str]) -> tuple[str, ...]:
    """What a row is sorted by: its letters, without values and signs."""
    return "".join(sign for sign in row[0].lower() if sign.isalnum() or sign == " ").strip(), *row


def files_of(room: str) -> list[Path]:
    """The modules of a room that no room below it in ROOMS has."""
    inner = [REPO / other for other in ROOMS if other.startswith(f"{room}/")]
    found = (REPO / room).glob("*.py") if room == "deploy" else (REPO / room).rglob("*.py")
    return sorted(path for path in found if not any(path.is_relative_to(other) for other in inner))


def messages_in(path: Path) -> Iterator[str]:
    """The texts of a module that tell a user what is wrong."""
    tree = ast.parse(path.read_text())
    reasons = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and returns_a_reason(node)]
    texts = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield from error_texts(node.exc, texts)
        elif isinstance(node, ast.Call) and called(node).endswith("Error"):
            yield from error_texts(node, texts)
        elif isinstance(node, ast.Call) and (places := SAYERS.get(called(node))):
            said = [[*possible_texts(node.args[place])] for place in places if place < len(node.args)]
            if said and said[0]:
                advice = f" -> {said[1][0]}" if len(said) > 1 and said[1] and said[1][0] else ""
                yield from filter(is_message, (f"{text}{advice}" for text in said[0]))
    for node in (part for function in reasons for part in ast.walk(function)):
        if isinstance(node, ast.Return | ast.Yield) and node.value:
            yield from filter(is_message, possible_texts(node.value))


def error_texts(error: ast.Call, texts: dict[str, ast.expr]) -> Iterator[str]:
    """The texts that an error is made with; some have a status before it. `texts`: by the names of the module."""
    if called(error) not in INTERNAL:
        for argument in error.args:
            yield from filter(is_message, possible_texts(texts.get(ast.unparse(argument), argument)))


def returns_a_reason(function: ast.FunctionDef) -> bool:
    """Whether the function says why something is not as it must be: by its return type, or by its docstring."""
    returned = ast.unparse(function.returns) if function.returns else ""
    says_why = (ast.get_docstring(function) or "").startswith(SAYS_WHY)
    return returned == "str | None" or (returned in {"str", "Iterator[str]"} and says_why)


def called(call: ast.Call) -> str:
    """The name of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def is_message(text: str) -> bool:
    """A text of words: two of them at least beside the values."""
    return len([word for word in text.replace(PLACE, " ").split() if word.isalpha()]) > 1


def possible_texts(node: ast.expr) -> Iterator[str]:
    """What an expression may be as a text: the literal parts, PLACE for each value; one for each branch."""
    if isinstance(node, ast.IfExp):
        yield from possible_texts(node.body)
        yield from possible_texts(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield " ".join(node.value.split())
    elif isinstance(node, ast.JoinedStr):
        yield " ".join("".join(piece_of(part) for part in node.values).split())
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        for left in [*possible_texts(node.left)] or [PLACE]:
            yield from (f"{left}{right}" for right in [*possible_texts(node.right)] or [PLACE])


def piece_of(part: ast.expr) -> str:
    """A part of a formatted text."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    value = part.value if isinstance(part, ast.FormattedValue) else None
    if isinstance(value, ast.Call) and called(value) == typed.__name__:
        return typed(ast.literal_eval(value.args[0]))
    return PLACE
