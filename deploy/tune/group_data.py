"""Settings written into a file of group data, of which nothing else changes: comments, order, other settings.

A file in which a setting is not assigned once, at the top level, is left to its owner.
"""

import ast
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.errors import BoardllamaError
from deploy.onboard.files import error_reason, write_file


def write_group_data(path: Path, values: Mapping[str, Any], about: str) -> bool:
    """Makes the file assign the values, in one durable step. `about`: the first line of a file that is new.

    Returns whether the file changed. Raises BoardllamaError when it cannot be edited safely.
    """
    path = path.resolve()
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else f"{docstring(about)}\n"
        after = edited_text(before, values)
        if path.exists() and after == before:
            return False
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        owner = path.stat() if path.exists() else path.parent.stat()
        write_file(path, after.encode(), mode, lambda new: os.chown(new, owner.st_uid, owner.st_gid))
    except (OSError, UnicodeDecodeError) as error:
        raise BoardllamaError(f"{path} cannot be written ({error_reason(error)}): paste these lines into it") from None
    return True


def edited_text(text: str, values: Mapping[str, Any]) -> str:
    """The text of a Python file with these values assigned. Raises BoardllamaError unless that is all that changes."""
    try:
        places = {name: value_place(ast.parse(text), name) for name in values}
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last two: of brackets without an end
        raise BoardllamaError(f"it is no Python file ({error}): mend it, or paste these lines into it") from None
    lines = text.encode().splitlines(keepends=True)
    found = [(place, name) for name, place in places.items() if place]
    for place, name in sorted(found, key=lambda one: -one[0].lineno):
        lines[place.lineno - 1 : place.end_lineno] = [replaced_value(lines, place, values[name])]
    new = "".join(f"{name} = {literal(values[name])}\n" for name, place in places.items() if not place)
    edited = b"".join(lines).decode()
    return f"{edited}{'' if edited.endswith(chr(10)) or not edited else chr(10)}{new}"


def value_place(tree: ast.Module, name: str) -> ast.expr | None:
    """Where the file assigns a value to the name; None where it does not. Raises BoardllamaError unless it is once, at
    the top level, to that name alone.
    """
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name]
    if not [node for node in uses if not isinstance(node.ctx, ast.Load)]:
        return None
    plain = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and ast.unparse(node.targets[0]) == name
    ]
    if len(plain) != 1 or len(uses) != 1:
        raise BoardllamaError(f"it assigns or reads {name} in a way of its own: paste these lines into it")
    return plain[0]


def replaced_value(lines: list[bytes], place: ast.expr, value: Any) -> bytes:
    """The lines of an assignment, with another value. Columns of ast count bytes."""
    assert place.end_lineno and place.end_col_offset is not None
    head = lines[place.lineno - 1][: place.col_offset]
    tail = lines[place.end_lineno - 1][place.end_col_offset :]
    return head + literal(value).encode() + tail


def docstring(text: str) -> str:
    """The text as a Python file begins with it. A board says a part of the text, which must stay a text."""
    quoted = literal(text)
    return f'""{quoted}""' if quoted.startswith('"') else quoted


def literal(value: Any) -> str:
    """The value as an inventory writes it: a text in double quotes, unless it holds one of either kind."""
    text = repr(value)
    return f'"{text[1:-1]}"' if isinstance(value, str) and not {"'", '"'} & {*value} else text
