"""`boardllama VERB`: which program a verb becomes, and what it says of words that it does not take."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.command.__main__ import SECTIONS, boardllama
from deploy.controller.product import module_words, pyinfra_words
from deploy.errors import BoardllamaError
from deploy.paths import REPO

FLEET = Path("fleet.py")


class Became(Exception):
    """A verb has become another program."""


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the inventory fleet.py, where verbs become nothing."""

    def become(_program: str, words: list[str], _environment: dict[str, str]) -> None:
        raise Became(words)

    monkeypatch.setattr("os.execve", become)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: subprocess.CompletedProcess("", 0))
    monkeypatch.chdir(tmp_path)
    FLEET.write_text("channels = []\n")
    return tmp_path


def run_verb(*words: str) -> Result:
    return CliRunner().invoke(boardllama, words, prog_name="boardllama")


def program_of(*words: str) -> list[str]:
    """What `boardllama WORDS` becomes."""
    done = run_verb(*words)
    assert isinstance(done.exception, Became), done.output
    became: list[str] = done.exception.args[0]
    return became


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], []),
        (["--limit", "kitchen", "--limit", "hall"], ["--limit", "kitchen", "--limit", "hall"]),
        (["--dry", "--diff", "--data", "threads=2"], ["--dry", "--diff", "--data", "threads=2"]),
        (["--", "--serial", "-v"], ["--serial", "-v"]),
    ],
)
def test_a_deploy_hands_on_pyinfras_options(fleet: Path, words: list[str], options: list[str]) -> None:
    assert program_of("deploy", "fleet.py", *words) == pyinfra_words(FLEET, options=options)


@pytest.mark.parametrize(
    ("words", "became"),
    [
        (
            ["uninstall", "fleet.py", "--models", "--yes"],
            pyinfra_words(FLEET, "deploy.stages.remove.uninstall", "models=True"),
        ),
        (["rollback", "fleet.py", "--to", "r1"], pyinfra_words(FLEET, "deploy.stages.activate.rollback", "to=r1")),
        (
            ["tune", "fleet.py", "--weight", "0.3", "--stop-serving"],
            pyinfra_words(
                FLEET,
                "deploy.tune.story.tune_boards",
                "inventory=fleet.py",
                "stop_serving=True",
                options=["--data", "tune_prompt_weight=0.3"],
            ),
        ),
        (["doctor", "kitchen.local", "--json"], module_words("deploy.doctor", "kitchen.local", "--json")),
        (["image", "rpi5", "--size", "8G"], module_words("deploy.image", "rpi5", "--size", "8G")),
        (["flash", "--to-file", "x", "a.img.zst"], module_words("deploy.flash", "--to-file", "x", "a.img.zst")),
        (["flash", "--help"], module_words("deploy.flash", "--help")),
        (["vm", "ssh", "uname", "-a"], module_words("deploy.vm", "ssh", "uname", "-a")),
        (["models"], module_words("deploy.models")),
    ],
)
def test_a_verb_becomes_its_program(fleet: Path, words: list[str], became: list[str]) -> None:
    assert program_of(*words) == became


def test_a_channel_reaches_no_board(fleet: Path) -> None:
    became = program_of("channel", "fleet.py", "--dest", "/srv/www")
    assert became[4:10] == ["--limit", "builders", "--limit", "channels", "--exclude", "targets"]
    assert became[10:12] == ["--data", "channel_dest=/srv/www"]


def test_without_a_word_it_is_the_inventory_that_init_writes(fleet: Path) -> None:
    said = run_verb("deploy")
    assert said.exit_code == 2 and "boards.py is no inventory file: `boardllama init` writes one" in said.output
    Path("boards.py").touch()
    assert program_of("deploy") == pyinfra_words(Path("boards.py"))
    Path("site").mkdir()
    assert "site/boards.py is no inventory file: `boardllama init` writes one" in run_verb("deploy", "site").output
    Path("site/boards.py").touch()
    assert program_of("deploy", "site") == pyinfra_words(Path("site/boards.py"))


@pytest.mark.parametrize("verb", ["deploy", "rollback", "releases", "channel --dest www"])
@pytest.mark.parametrize("place", ["fleet.py", "group_data/all.py"])
def test_what_is_no_python_is_named_with_its_line(fleet: Path, place: str, verb: str) -> None:
    Path("group_data").mkdir(exist_ok=True)
    Path(place).write_text("\nchannels = (1,\n")
    name, *words = verb.split()
    said = run_verb(name, "fleet.py", *words)
    assert isinstance(said.exception, BoardllamaError)
    assert str(said.exception).startswith(f"{place} line 2 is no Python: '(' was never closed")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["deploi"], "No such command 'deploi'"),
        (["deploy", "nowhere.py"], "nowhere.py is no inventory file: name an inventory file"),
        (["deploy", "fleet.py", "--limt", "x"], "No such option"),
        (["tune", "fleet.py", "--weight", "much"], "'much' is not a valid float"),
        (["bundle", "fleet.py"], "Missing option '--out'"),
    ],
)
def test_a_mistake_is_named(fleet: Path, words: list[str], said: str) -> None:
    done = run_verb(*words)
    assert done.exit_code == 2 and said in done.output


def test_nothing_is_removed_where_nobody_is_asked(fleet: Path) -> None:
    done = run_verb("uninstall", "fleet.py")
    assert done.exit_code == 1 and "nobody is here to answer: say --yes" in done.output


def test_an_inventory_without_channels_is_refused(fleet: Path) -> None:
    Path("plain.py").write_text("targets = []\n")
    done = run_verb("channel", "plain.py")
    assert done.exit_code == 1 and "plain.py has no group channels" in done.output


@pytest.mark.parametrize("verb", [verb.name for verbs in SECTIONS.values() for verb in verbs])
def test_each_verb_has_an_example(verb: str) -> None:
    line = [sys.executable, "-m", "deploy.command", verb, "--help"]
    said = subprocess.run(line, cwd=REPO, capture_output=True, text=True, check=True).stdout
    assert f"\n  boardllama {verb}" in said.partition("Examples:")[2].replace("\n    ", "\n  "), said
    assert f"usage: boardllama {verb}" in said.lower()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_verbs_and_boards(shell: str) -> None:
    script = run_verb("completion", shell).output
    assert "_BOARDLLAMA_COMPLETE" in script
    told = {"COMP_WORDS": "boardllama fle", "COMP_CWORD": "1", "_BOARDLLAMA_COMPLETE": "bash_complete"}
    line = [sys.executable, "-m", "deploy.command"]
    done = subprocess.run(line, cwd=REPO, env=os.environ | told, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["plain,fleet-report"]
