"""`make answers`: asks every target the same questions, and says which answers an upgrade changed.

`python -m tests.board.answers INVENTORY [FILE]`. Always the likeliest token is taken, so the same build gives the same
answers, as long as nobody else asks at that time. FILE keeps them, by default beside the inventory. A change is no
failure: who upgrades decides whether the new answers are as good.
"""

import argparse
import sys
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest import UsageError

from deploy.controller.progress import Progress
from deploy.errors import BoardllamaError
from tests.board.board import Board
from tests.board.kept_answers import Answers, describe_changes, read_kept, write_kept
from tests.greedy import Step, greedy_request, greedy_steps
from tests.targets import connect, targets

TOKENS = 16
# Of each kind that people ask: a sum, a list, a fact, a rewriting, code, another language.
QUESTIONS = (
    "What is 2+2? Answer with one number.",
    "Name three colors.",
    "What is the capital of France?",
    "Say in other words: The meeting was moved to Friday.",
    "Write a line of Python that prints the numbers from 1 to 10.",
    "Was ist das Gegenteil von heiß?",
)


def ask_target(name: str, board: Board) -> Answers:
    """What the target says now."""
    model = str(board.ask("/props").json["model_path"])
    answers = dict[str, list[Step]]()
    for question in QUESTIONS:
        with Progress(name).during(f"answers {question!r}"):
            answer = board.ask("/v1/chat/completions", greedy_request(question, TOKENS))
        if answer.status != 200:
            raise BoardllamaError(f"{answer.status}: {answer.text}")
        answers[question] = greedy_steps(answer.json)
    return Answers(
        target=name,
        model=Path(model).name,
        sha256=board.run(f"sha256sum < '{model}'").split()[0],
        build=Path(board.run("readlink -f /usr/bin/llama-server")).parent.name,
        asked=datetime.now(timezone.utc).date().isoformat(),
        answers=answers,
    )


def compare_answers(inventory: Path, file: Path) -> bool:
    """Asks every target of the inventory, prints what changed, and keeps the answers in the file.

    False when a target gave none; the others are asked all the same.
    """
    complete = True
    for name, data in targets(inventory).items():
        try:
            with TemporaryDirectory(prefix="bl-", dir="/tmp") as folder:
                new = ask_target(name, Board(connect(name, data, Path(folder))))
        except (BoardllamaError, AssertionError, RuntimeError) as error:
            print(f"{name}: no answers: {complaint(error)}; `make doctor HOST={name}` says why", file=sys.stderr)
            complete = False
            continue
        kept = read_kept(file)
        print(*describe_changes(kept.before(new), new), sep="\n", flush=True)
        write_kept(file, kept.including(new))
    return complete


def complaint(error: Exception) -> str:
    """The error in one line. testinfra raises what ssh said as a RuntimeError of a command's result."""
    said = getattr(error.args[0], "stderr", "") or str(error)
    return " ".join(said.split())


def main() -> int:
    """0 when every target answered."""
    parser = argparse.ArgumentParser(prog="python -m tests.board.answers")
    parser.add_argument("inventory", type=Path)
    parser.add_argument("file", type=Path, nargs="?")
    told = parser.parse_args()
    complete = compare_answers(told.inventory, told.file or told.inventory.with_suffix(".answers.json"))
    return 0 if complete else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BoardllamaError, UsageError, OSError) as error:
        sys.exit(f"answers: {error}")
