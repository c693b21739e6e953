"""Several facts in one round trip: one command asks them all, and each still reads its own answer."""

from typing import Any

from pyinfra.api import FactBase

# Begins the line before the answer to a question.
MARK = "== answer of "

Questions = dict[str, tuple[FactBase[Any], dict[str, Any]]]


def combined_command(questions: Questions) -> str:
    """One shell command that asks all questions. A question whose command fails has no answer."""
    return "; ".join(marked_command(name, str(fact.command(**given))) for name, (fact, given) in questions.items())


def marked_command(name: str, command: str) -> str:
    """The command of one question. A failure does not end the others, and a second mark takes half an answer back."""
    mark = f"printf '\\n{MARK}{name}\\n'"
    return f"{mark}; ( {command} ) || {mark}"


def split_answers(questions: Questions, output: list[str]) -> dict[str, Any]:
    """The answers by the names of their questions. A question without an answer has the default of its fact."""
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
