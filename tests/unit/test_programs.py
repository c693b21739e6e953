"""A program that the controller runs ends in time or is ended, and says why; meanwhile a line of progress comes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.controller import progress
from deploy.controller.programs import Late, program_output, run_program
from deploy.controller.progress import Progress, say_line
from deploy.errors import BoardllamaError
from deploy.paths import REPO
from tests.unit.test_workspace import runs, wait_for

HANGING = """
import sys
from deploy.controller.programs import program_output
program_output("sh", "-c", "echo $$ >$0; exec sleep 60", sys.argv[1], deadline=60)
"""


def test_a_program_reads_what_it_is_given_and_its_status_is_no_error_by_itself() -> None:
    done = run_program("sh", "-c", "cat; echo no >&2; exit 3", given=b"words")
    assert (done.status, done.output, done.errors) == (3, b"words", b"no\n")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo out; echo first >&2; echo last >&2; exit 1", "sh: last$"),
        ("echo out; exit 1", "sh: out$"),
        ("exit 3", "sh: status 3$"),
    ],
)
def test_an_error_has_the_last_words(script: str, said: str) -> None:
    with pytest.raises(BoardllamaError, match=said):
        program_output("sh", "-c", script)


def test_a_status_may_be_good() -> None:
    assert program_output("sh", "-c", "echo yes; exit 2", good=(0, 2)) == b"yes\n"


def test_a_program_that_is_missing_is_said_with_its_package() -> None:
    with pytest.raises(BoardllamaError, match=r"no-such-program is missing: apt-get install the-package$"):
        program_output("no-such-program", package="the-package")


@pytest.mark.parametrize("env", [None, {}, {"PATH": "/usr/bin"}])
def test_an_ordinary_user_s_run_finds_root_s_programs(env: dict[str, str] | None) -> None:
    assert program_output("sfdisk", "--version", env=env).startswith(b"sfdisk ")


def test_a_program_that_hangs_is_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(Late, match="waiting did not end within 0 s"):
        run_program("sh", "-c", f"echo $$ >{pid}; exec sleep 60", deadline=0.4, name="waiting")
    wait_for(lambda: not runs(int(pid.read_text())))


def test_a_program_is_killed_when_its_run_is_interrupted(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    child = subprocess.Popen([sys.executable, "-c", HANGING, str(pid)], cwd=REPO, stderr=subprocess.DEVNULL)
    wait_for(lambda: pid.exists() and pid.read_text() != "")
    child.send_signal(signal.SIGINT)
    child.wait(timeout=60)
    wait_for(lambda: not runs(int(pid.read_text())))


def test_a_line_says_what_its_detail_and_the_seconds() -> None:
    lines: list[str] = []
    long_ago = time.monotonic() - 12
    shown = Progress("vm dev", lines.append, started=long_ago, shown=long_ago)
    shown.still("booting")
    shown.still("booting")
    shown.tell("is up already")
    assert lines == ["vm dev: booting, 12 s", "vm dev: is up already"]


def test_a_block_is_said_to_be_at_it_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PERIOD", 0.01)
    lines: list[str] = []
    with Progress("image", lines.append).during("map"):
        while len(lines) < 2:
            time.sleep(0.01)
    assert all(line.startswith("image: map, ") for line in lines)


def test_a_terminal_that_is_gone_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        monkeypatch.setattr(sys, "stderr", gone)
        say_line("on and on")
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)
