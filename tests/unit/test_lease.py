"""The lock of a target: real processes, a real lock, in a folder of its own."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy import lock
from deploy.errors import BoardllamaError
from deploy.lock import PROGRAM
from deploy.remote import Talk

Hold = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    """Starts holders as a deploy does; `silence` and `stale` in seconds."""
    started: list[subprocess.Popen[str]] = []

    def begin(who: str, silence: float = 30, stale: float = 15) -> "subprocess.Popen[str]":
        text = PROGRAM.replace("/run/boardllama", str(tmp_path)).replace("= 5, 15, 30", f"= 0.2, {stale}, {silence}")
        command = [sys.executable, "-IS", "-c", text, who]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


def line(process: "subprocess.Popen[str]") -> str:
    """Its next line."""
    assert process.stdout
    return process.stdout.readline().strip()


def test_the_second_deploy_is_told_who_the_first_is(hold: Hold) -> None:
    assert line(hold("ann@laptop, process 1")) == "held"
    second = hold("bob@desk, process 2")
    assert line(second) == "busy ann@laptop, process 1"
    assert second.wait(10) == 75


def test_the_lock_goes_with_the_connection(hold: Hold) -> None:
    first = hold("ann")
    assert line(first) == "held"
    assert first.stdin
    first.stdin.close()
    assert first.wait(10) == 0
    assert line(hold("bob")) == "held"


def test_the_lock_goes_with_a_killed_process(hold: Hold) -> None:
    first = hold("ann")
    assert line(first) == "held"
    first.send_signal(signal.SIGKILL)
    first.wait(10)
    assert line(hold("bob")) == "held"


def test_a_holder_that_went_silent_is_given_up(hold: Hold) -> None:
    """As after a network cut: the connection stays open, no sign of life comes."""
    assert line(hold("ann", silence=3)) == "held"
    time.sleep(0.3)
    second = hold("bob", stale=0.1)
    assert line(second).startswith("wait ann is silent for")
    assert any(line(second) == "held" for _ in range(100))


def test_signs_of_life_keep_it(hold: Hold) -> None:
    first = hold("ann", silence=3)
    assert line(first) == "held"
    assert first.stdin
    for _ in range(20):
        first.stdin.write("\n")
        first.stdin.flush()
        time.sleep(0.2)
    assert first.poll() is None


def test_a_lock_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = PROGRAM.replace("/run/boardllama", str(tmp_path / "file" / "x"))
    done = subprocess.run([sys.executable, "-IS", "-c", text, "ann"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("failed [Errno 20] Not a directory")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("busy ann@laptop", "ann@laptop is deploying to this target: wait for it"),
        ("failed [Errno 13] Permission denied: '/run/boardllama'", r"Permission denied.*root there; `_sudo`"),
        ("", r"cannot be taken \(python3 gave no answer\)$"),
    ],
)
def test_only_another_deploy_is_waited_for(answer: str, said: str) -> None:
    """Who forgot _sudo would wait for nobody."""
    remote: Any = SimpleNamespace(
        host=SimpleNamespace(connector_data={}),
        talk=lambda _command: Talk(lambda: answer, lambda _data: None, lambda: None),
    )
    with pytest.raises(BoardllamaError, match=said) as caught:
        lock.hold(remote)
    assert isinstance(caught.value, lock.Busy) == answer.startswith("busy")
