"""Every small fault that can be put into a module: mutmut's operators, and four of ours for what a fault often is.

mutmut's own runner puts all mutants of a function into one file behind a switch, which a program that is run as
`python -IS watch.py` never asks. Here each mutant is a text of its own.
"""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators


@dataclass(frozen=True)
class Mutation:
    """`line` is the first of the syntax that is changed."""

    path: str
    line: int
    module: cst.Module
    before: cst.CSTNode
    after: cst.CSTNode

    def text(self) -> str:
        """The whole module with the fault."""
        return cst.ensure_type(self.module.deep_replace(self.before, self.after), cst.Module).code

    def diff(self) -> str:
        """The lines before and after, each with its sign."""
        lines = difflib.unified_diff(self.module.code.splitlines(), self.text().splitlines(), lineterm="", n=0)
        return "\n".join(list(lines)[3:])


def negate_test(node: Any) -> Iterable[cst.CSTNode]:
    """The branch that is taken is the wrong one."""
    brackets = {"lpar": [cst.LeftParen()], "rpar": [cst.RightParen()]}
    yield node.with_changes(test=cst.UnaryOperation(cst.Not(), node.test.with_changes(**brackets)))


def drop_statement(node: Any) -> Iterable[cst.CSTNode]:
    """An effect or a refusal is missing."""
    if not isinstance(node, cst.Expr) or isinstance(node.value, cst.Call):
        yield cst.Pass()


def forget_result(node: cst.Return) -> Iterable[cst.CSTNode]:
    """Nothing comes back."""
    if node.value and not is_named(node.value, "None"):
        yield node.with_changes(value=cst.Name("None"))


OPERATORS: Sequence[tuple[type, Any]] = (
    *mutation_operators,
    (cst.If, negate_test),
    (cst.While, negate_test),
    (cst.Expr, drop_statement),
    (cst.Raise, drop_statement),
    (cst.Return, forget_result),
)


def is_named(node: cst.CSTNode, *names: str) -> bool:
    return isinstance(node, cst.Name) and node.value in names


def is_message(node: cst.CSTNode) -> bool:
    """Text for people has a space in it; keys, flags, paths and units have none."""
    if isinstance(node, cst.ConcatenatedString):
        return is_message(node.left) or is_message(node.right)
    if isinstance(node, cst.FormattedString):
        return any(isinstance(part, cst.FormattedStringText) and " " in part.value for part in node.parts)
    return isinstance(node, cst.SimpleString) and " " in node.value


def is_left_out(node: cst.CSTNode) -> bool:
    """What no test can or should see: types, decorators, messages, and what only `python FILE` runs."""
    if isinstance(node, cst.If) and isinstance(node.test, cst.Comparison):
        return is_named(node.test.left, "__name__")
    return isinstance(node, (cst.Annotation, cst.Decorator)) or is_type_alias(node) or is_message(node)


def is_type_alias(node: cst.CSTNode) -> bool:
    """A name as of a class: constants are all in capitals."""
    name = node.targets[0].target if isinstance(node, cst.Assign) else None
    return isinstance(name, cst.Name) and name.value[:1].isupper() and not name.value.isupper()


def is_without_effect(node: cst.CSTNode, changed: cst.CSTNode) -> bool:
    """A message that goes, a default of False that is no longer said aloud, and "" where None is as empty."""
    if isinstance(node, (cst.Assign, cst.AnnAssign)):
        return node.value is not None and (is_message(node.value) or is_named(node.value, "None"))
    if not isinstance(node, cst.Call) or not isinstance(changed, cst.Call):
        return False
    kept = {id(argument) for argument in changed.args}
    gone = [argument.value for argument in node.args if id(argument) not in kept]
    return any(is_message(value) or is_named(value, "False") for value in gone)


class Finder(cst.CSTVisitor):
    """Collects the mutations of a module."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, path: str, module: cst.Module) -> None:
        super().__init__()
        self.path, self.module = path, module
        self.found: list[Mutation] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Notes the changes of this node; the nodes below one that is left out are left out."""
        if is_left_out(node):
            return False
        for changed in changes(node):
            line = self.get_metadata(PositionProvider, node).start.line
            self.found.append(Mutation(self.path, line, self.module, node, changed))
        return True


def changes(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Of a text only the first change: another case is often the same, as in a codec's name."""
    for kind, operator in OPERATORS:
        if isinstance(node, kind):
            made = [changed for changed in operator(node) if not is_without_effect(node, changed)]
            yield from made[:1] if isinstance(node, cst.SimpleString) else made


def list_mutations(path: str, code: str) -> list[Mutation]:
    """All mutations of a module."""
    wrapper = MetadataWrapper(cst.parse_module(code), unsafe_skip_copy=True)
    finder = Finder(path, wrapper.module)
    wrapper.visit(finder)
    return finder.found
