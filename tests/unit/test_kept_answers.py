"""What is said of answers that an upgrade of llama.cpp changed."""

import math
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from tests.board.kept_answers import Answers, KeptAnswers, describe_changes, read_kept, write_kept
from tests.greedy import Step, distance

COLORS = "Name three colors."


def step(token: str, **likely: float) -> Step:
    """A token, and how likely it and others were."""
    return Step(token, {name: math.log(share) for name, share in likely.items()})


RED = [step("Red", Red=0.5, Blue=0.3), step(" it", **{" it": 0.42, " is": 0.4}), step(".", **{".": 1.0})]
BLUE = [step("Red", Red=0.5, Blue=0.3), step(" is", **{" it": 0.4, " is": 0.42}), step("!", **{"!": 1.0})]


def given(build: str, answer: list[Step], target: str = "kitchen", digit: str = "a") -> Answers:
    answers = {COLORS: answer}
    return Answers(target=target, model="m.gguf", sha256=digit * 64, build=build, asked="2026-11-28", answers=answers)


def changes(*kept: Answers, new: Answers) -> list[str]:
    return list(describe_changes(KeptAnswers(kept=kept).before(new), new))


def test_first_answers_are_said_to_be_the_first() -> None:
    others = given("old", BLUE, target="hall"), given("old", BLUE, digit="b")
    assert changes(*others, new=given("new", RED)) == [
        "kitchen: m.gguf by new: the first answers of this model here; later ones are compared with them"
    ]


def test_the_same_answers_by_another_build_are_said_to_be_the_same() -> None:
    assert changes(given("old", RED), new=given("new", RED)) == [
        "kitchen: m.gguf by new: all 1 answers are as by old, 2026-11-28"
    ]


def test_a_change_is_told_with_its_first_token_and_how_near_the_two_were() -> None:
    assert changes(given("old", RED), new=given("new", BLUE)) == [
        "kitchen: m.gguf by new: 1 of 1 answers are not as by old, 2026-11-28",
        "  'Name three colors.' differs from token 2 on: ' is', before ' it' (before 40 % and 42 % likely)\n"
        "    before: 'Red it.'\n    now:    'Red is!'",
    ]


@pytest.mark.parametrize(
    ("old", "line"),
    [
        (RED[:2], "  'Name three colors.' has 3 tokens, before 2"),
        ([], "  'Name three colors.' was not asked before: 'Red it.'"),
    ],
)
def test_other_lengths_and_new_questions_are_told(old: list[Step], line: str) -> None:
    assert changes(given("old", old), new=given("new", RED))[1:] == [line]


def test_the_build_before_is_compared_with_even_when_this_one_was_asked_too() -> None:
    kept = given("older", BLUE), given("old", RED), given("new", RED)
    assert changes(*kept, new=given("new", RED))[0].endswith("are as by old, 2026-11-28")


def test_answers_are_read_as_they_were_written_the_newest_of_each_build(tmp_path: Path) -> None:
    path, kept = tmp_path / "boards.answers.json", KeptAnswers()
    assert read_kept(path) == kept
    for new in (given("old", RED), given("new", RED), given("new", BLUE)):
        kept = kept.including(new)
    write_kept(path, kept)
    assert read_kept(path) == KeptAnswers(kept=(given("old", RED), given("new", BLUE)))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("text", ["", "[]", '{"version": 2, "kept": []}', '{"kept": [{"target": 1}]}'])
def test_a_file_of_another_form_is_one_line_and_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "boards.answers.json"
    path.write_text(text)
    with pytest.raises(BoardllamaError, match=r"^\S+boards.answers.json: .*: mend it, or remove it and begin anew$"):
        read_kept(path)
    assert path.read_text() == text


def test_a_distance_is_counted_up_to_where_two_answers_part() -> None:
    assert distance(RED, RED) == 0
    assert distance(RED, BLUE) == pytest.approx(math.log(0.42 / 0.4))
    assert distance(RED, [step("Blue", Blue=0.9)]) == math.inf
