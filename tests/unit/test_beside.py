"""Commands beside each other: what is seen of them, and that none of them is left."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.paths import REPO


@contextmanager
def beside(*lines: str) -> Iterator[subprocess.Popen[str]]:
    """The program at work on these shell commands."""
    commands = [f"sh -c '{line}'" for line in lines]
    words = [sys.executable, "-m", "deploy.controller.beside", *commands]
    with subprocess.Popen(words, cwd=REPO, stderr=subprocess.PIPE, text=True) as running:
        yield running


def run_commands(*lines: str) -> tuple[int, list[str]]:
    """The exit status, and the lines that were shown."""
    with beside(*lines) as running:
        _, said = running.communicate(timeout=60)
    return running.returncode, said.splitlines()


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """Who writes to it waits for who reads it."""
    path = tmp_path / "fifo"
    subprocess.run(["mkfifo", str(path)], check=True)
    return path


def test_they_run_at_the_same_time_and_both_are_seen(fifo: Path) -> None:
    status, said = run_commands(f"echo out; echo now >{fifo}", f"read word <{fifo}; echo $word >&2")
    assert (status, sorted(said)) == (0, ["now", "out"])


def test_all_end_well_before_it_ends(tmp_path: Path) -> None:
    status, _ = run_commands("true", f"sleep 0.3; touch {tmp_path}/late")
    assert status == 0 and (tmp_path / "late").exists()


def test_one_that_fails_ends_the_others_and_has_the_last_word(fifo: Path, tmp_path: Path) -> None:
    waits = f'trap "echo ending; touch {tmp_path}/ended; exit 1" TERM; echo up >{fifo}; while :; do sleep 0.05; done'
    status, said = run_commands(waits, f"read word <{fifo}; echo the reason; exec >&- 2>&-; exit 7")
    assert (status, said[-1]) == (7, "the reason")
    assert (tmp_path / "ended").exists() and "ending" not in said


def test_the_reason_is_told_again_when_another_spoke_meanwhile(fifo: Path) -> None:
    chatters = f"read word <{fifo}; echo chatter; echo heard >{fifo}; sleep 60"
    status, said = run_commands(chatters, f"echo the reason; echo go >{fifo}; read word <{fifo}; exit 3")
    assert (status, said[-1]) == (3, "the reason")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_when_it_is_ended_so_are_its_commands_and_what_they_started(
    number: signal.Signals, fifo: Path, tmp_path: Path
) -> None:
    with beside(
        f"sleep 60 & echo $! >{tmp_path}/pid; echo up >{fifo}; wait", f"read word <{fifo}; echo up; sleep 60"
    ) as it:
        assert it.stderr and it.stderr.readline() == "up\n"
        it.send_signal(number)
        assert it.wait(timeout=30) != 0
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_a_program_that_is_not_there_is_said_in_a_line() -> None:
    words = [sys.executable, "-m", "deploy.controller.beside", "sleep 60", "/no/such/program"]
    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "/no/such/program cannot be started: No such file or directory\n")
