"""`boardllama init`: an inventory that the deploy takes, and nothing lost."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from deploy.command.__main__ import boardllama
from deploy.controller.product import environment, read_targets
from deploy.rehearsal.kinds import rehearsals_of

ANSWERS = ("--board", "rpi5", "--host", "kitchen.local", "--user", "pi", "--model", "auto", "--network")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(boardllama, ["init", *words], prog_name="boardllama", input=typed)


@pytest.mark.parametrize("board", ["raspberry_pi_3", "rock_5b"])
def test_what_it_writes_is_an_inventory_of_that_kind(folder: Path, board: str) -> None:
    done = init(
        "--board", board, "--host", "a.local", "--host", "192.168.1.20", "--user", "root", "--model", "smoke", "--local"
    )
    assert done.exit_code == 0, done.output
    targets = read_targets(folder / "boards.py")
    assert [(name, board in groups, data["model"]) for name, groups, data in targets] == [
        ("a.local", True, "smoke"),
        ("192.168.1.20", True, "smoke"),
    ]
    (rehearsal,) = rehearsals_of(targets, {})
    assert rehearsal.board and rehearsal.board.name == board


def test_an_account_that_is_not_root_uses_sudo_and_the_network_needs_a_key(folder: Path) -> None:
    assert init(*ANSWERS).exit_code == 0
    ((_, _, data),) = read_targets(folder / "boards.py")
    assert (data["ssh_user"], data["_sudo"]) == ("pi", True)
    assert (data["server_host"], data["api_key"]) == ("0.0.0.0", "generate")


@pytest.mark.parametrize(
    ("system", "place"), [("github", ".github/workflows/boards.yml"), ("gitlab", ".gitlab-ci.yml")]
)
def test_ci_rehearses_each_change(folder: Path, system: str, place: str) -> None:
    assert init(*ANSWERS, "--ci", system).exit_code == 0
    told: dict[str, Any] = yaml.safe_load((folder / place).read_text())
    assert "boardllama rehearse --model smoke --junit rehearsal.xml" in str(told)
    assert "${{ hashFiles('boards.py', 'group_data/**') }}" in str(told) or system == "gitlab"


def test_nothing_that_is_there_is_overwritten(folder: Path) -> None:
    (folder / "group_data").mkdir()
    (folder / "group_data/all.py").write_text("threads = 2\n")
    done = init(*ANSWERS)
    assert done.exit_code == 1 and "group_data/all.py of . would be overwritten" in done.output
    assert not (folder / "boards.py").exists()
    assert init("other", *ANSWERS).exit_code == 0
    assert init("other", *ANSWERS).exit_code == 0, "the same again"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("--board", "raspi5", "BOARD is 'raspi5': did you mean"),
        ("--host", 'x", {"a": 1', "must be a name or an address"),
        ("--host", "pi@kitchen", "without a user or a port"),
        ("--host", "kitchen:2222", "without a user or a port"),
        ("--user", "Pi User", "must be the name of an account"),
        ("--model", "qwen3.5-2B", "did you mean qwen3.5-2b?"),
        ("--model", "hub", "hub"),
    ],
)
def test_an_answer_that_cannot_be_is_refused_before_anything_is_written(
    folder: Path, name: str, value: str, said: str
) -> None:
    words = [value if before == name else word for before, word in zip(("", *ANSWERS), ANSWERS, strict=False)]
    line = [sys.executable, "-m", "deploy.command", "init", *words]
    done = subprocess.run(line, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("place", ["/proc/fleet", "boards.py/fleet", "taken"])
def test_a_folder_that_cannot_be_made_is_named(folder: Path, place: str) -> None:
    Path("boards.py").touch()
    Path("taken/boards.py").mkdir(parents=True)
    done = init(place, *ANSWERS)
    assert done.exit_code in (1, 2) and place in done.output and "Traceback" not in done.output, done.output
    assert not isinstance(done.exception, OSError)


def test_where_nobody_can_be_asked_it_says_which_word_is_missing(folder: Path) -> None:
    done = init(*ANSWERS[:-1])
    assert done.exit_code == 1 and "--network or --local is missing, and nobody can be asked" in done.output


def test_a_person_is_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.command.init.can_answer", lambda: True)
    done = init(typed="\nkitchen.local hall.local\n\n\nn\n")
    assert done.exit_code == 0, done.output
    assert [name for name, _, _ in read_targets(folder / "boards.py")] == ["kitchen.local", "hall.local"]
    assert "server_host" not in (folder / "group_data/all.py").read_text()


def test_a_person_is_asked_again_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.command.init.can_answer", lambda: True)
    done = init(typed="raspi5\nrpi5\npi@kitchen\nkitchen.local\n\n\nn\n")
    assert done.exit_code == 0, done.output
    first, again = done.output.split("What kind of board")[1:]
    assert "did you mean" in first and "without a user or a port" in again
    assert [name for name, _, _ in read_targets(folder / "boards.py")] == ["kitchen.local"]


def test_a_wrong_word_is_told_before_a_missing_one(folder: Path) -> None:
    done = init("--board", "raspi5")
    assert done.exit_code == 2 and "did you mean" in done.output


def test_a_board_is_named_once(folder: Path) -> None:
    done = init(*ANSWERS, "--host", "kitchen.local")
    assert done.exit_code == 1 and "each of them once" in done.output and not list(folder.iterdir())
