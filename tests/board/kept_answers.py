"""Answers of a target, kept in a file from one build of llama.cpp to the next, and what changed in between."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from deploy.controller.files import sync
from deploy.errors import BoardllamaError
from deploy.formats.values import Frozen, Sha256, first_breach
from tests.greedy import Step, said


class Answers(Frozen):
    """What a target with a build and a model said to each question. `asked`: a date in ISO 8601."""

    target: str
    model: str
    sha256: Sha256
    build: str
    asked: str
    answers: dict[str, list[Step]]


class KeptAnswers(Frozen):
    """The file: the last answers that each build gave with a model on a target, the newest last."""

    version: Literal[1] = 1
    kept: tuple[Answers, ...] = ()

    def before(self, new: Answers) -> Answers | None:
        """The answers to compare with: those of the same target and model, of another build where there are some."""
        same = [old for old in self.kept if (old.target, old.sha256) == (new.target, new.sha256)]
        return next(iter([old for old in reversed(same) if old.build != new.build] or reversed(same)), None)

    def including(self, new: Answers) -> "KeptAnswers":
        """These and the new ones, which stand for earlier ones of the same build."""
        place = (new.target, new.sha256, new.build)
        others = [old for old in self.kept if (old.target, old.sha256, old.build) != place]
        return KeptAnswers(kept=(*others, new))


def read_kept(path: Path) -> KeptAnswers:
    """What the file holds; nothing when there is none. Raises BoardllamaError for a file of another form."""
    try:
        return KeptAnswers.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return KeptAnswers()
    except ValidationError as error:
        raise BoardllamaError(f"{path}: {first_breach(error)}: mend it, or remove it and begin anew") from None


def write_kept(path: Path, kept: KeptAnswers) -> None:
    """Replaces the file at once: temp beside it, fsync, rename."""
    part = path.with_name(path.name + ".part")
    part.write_text(kept.model_dump_json(indent=1) + "\n")
    sync(part)
    part.replace(path)


def describe_changes(old: Answers | None, new: Answers) -> Iterator[str]:
    """Lines for people: what is not as it was, with the first token that differs."""
    who = f"{new.target}: {new.model} by {new.build}"
    if old is None:
        yield f"{who}: the first answers of this model here; later ones are compared with them"
        return
    than = f"by {old.build}, {old.asked}"
    changed = [question for question in new.answers if differ(old, new, question)]
    if not changed:
        yield f"{who}: all {len(new.answers)} answers are as {than}"
        return
    yield f"{who}: {len(changed)} of {len(new.answers)} answers are not as {than}"
    yield from (
        describe_parting(question, old.answers.get(question, []), new.answers[question]) for question in changed
    )


def differ(old: Answers, new: Answers, question: str) -> bool:
    return said(old.answers.get(question, [])) != said(new.answers[question])


def describe_parting(question: str, old: list[Step], new: list[Step]) -> str:
    """The first token that is another, with the shares that both had before: near to each other, rounding chose."""
    if not old:
        return f"  {question!r} was not asked before: {said(new)!r}"
    place = next((at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one.token != other.token), None)
    if place is None:
        return f"  {question!r} has {len(new)} tokens, before {len(old)}"
    was, now = old[place], new[place]
    return (
        f"  {question!r} differs from token {place + 1} on: {now.token!r}, before {was.token!r}"
        f" (before {share(was, now.token)} and {share(was, was.token)} likely)\n"
        f"    before: {said(old)!r}\n    now:    {said(new)!r}"
    )


def share(step: Step, token: str) -> str:
    """How likely the token was, in per cent."""
    return f"{100 * math.exp(step.likely[token]):.0f} %" if token in step.likely else "hardly"
