"""Several facts in one round trip: one command asks them all, and each still reads its own answer."""

from typing import Any

from pyinfra.api import FactBase

# Begins the line before the answer to a question.
MARK = "== answer of "

Questions = dict[str, tuple[FactBase[Any], dict[str, Any]]]


def together(questions: Questions) -> str:
    """One shell command that asks all of them. A question that fails is one without an answer."""
    return "; ".join(alone(name, str(fact.command(**given))) for name, (fact, given) in questions.items())


def alone(name: str, command: str) -> str:
    """One of them, whose end is not the end of the others. What it had said before it failed is taken back."""
    mark = f"printf '\\n{MARK}{name}\\n'"
    return f"{mark}; ( {command} ) || {mark}"


def apart(questions: Questions, output: list[str]) -> dict[str, Any]:
    """The answers by name; of a question without one, what its fact says then."""
    said: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in output:
        if line.startswith(MARK):
            lines = said[line.removeprefix(MARK)] = []
        else:
            lines.append(line)
    # `printf` begins with an empty line, since an answer may not end with a newline.
    answers = {name: lines[:-1] if lines[-1:] == [""] else lines for name, lines in said.items()}
    return {
        name: fact.process(answers[name]) if answers.get(name) else fact.default()
        for name, (fact, _) in questions.items()
    }
