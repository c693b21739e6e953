"""The lock of a target: real processes, a real lock, in a folder of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.errors import BoardllamaError
from deploy.hosts import lock
from deploy.hosts.lock import HELD, PROGRAM, TargetStep
from deploy.hosts.remote import Remote, Talk
from deploy.hosts.snapshot import Snapshot, memory_of
from deploy.onboard.release import lease
from tests.unit.known_host import KnownHost, Lock, lock_here, program, programs_here

__all__ = ["lock_here", "programs_here"]

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
    assert line(hold("cy")) == "busy bob", "and who had it is forgotten"


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


def test_a_sign_of_life_is_seen_by_the_next_deploy(hold: Hold, tmp_path: Path) -> None:
    first, lock_file = hold("ann"), tmp_path / "lock"
    assert line(first) == "held"
    os.utime(lock_file, (0, 0))
    assert first.stdin
    first.stdin.write("\n")
    first.stdin.flush()
    for _ in range(1000):
        time.sleep(0 if lock_file.stat().st_mtime else 0.01)
    assert line(hold("bob")) == "busy ann"


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_holder_of_another_time_is_given_up_when_it_is_silent(hold: Hold, tmp_path: Path, hours: int) -> None:
    """The clock of a board without a battery jumps when its network comes."""
    first = hold("ann")
    assert line(first) == "held"
    when = time.time() + 3600 * hours
    os.utime(tmp_path / "lock", (when, when))
    second = hold("bob")
    assert line(second).startswith("wait ann is silent for 7")
    first.kill()
    assert any(line(second) == "held" for _ in range(100))


def test_a_lock_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = PROGRAM.replace("/run/boardllama", str(tmp_path / "file" / "x"))
    done = subprocess.run([sys.executable, "-IS", "-c", text, "ann"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("failed [Errno 20] Not a directory")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("busy ann@laptop", "ann@laptop works on this target: wait for it"),
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
        lock.hold_lock(remote)
    assert isinstance(caught.value, lock.Busy) == answer.startswith("busy")


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An operation whose steps change a target, and the hosts whose step came to it."""
    monkeypatch.setattr(lease, "BEAT", 0.05)
    hosts: list[str] = []

    def change(remote: Remote) -> None:
        hosts.append(remote.host.name)

    def operation() -> Any:
        yield TargetStep(change)

    return SimpleNamespace(_inner=operation, hosts=hosts)


def test_a_run_whose_lock_is_gone_changes_nothing_more(changed: Any, lock_here: Lock) -> None:
    """Another deploy may have it by now."""
    host = KnownHost(Snapshot())
    assert host.does(changed)
    lock_here.break_off()
    host.host.connector_data[HELD].join(60)
    assert not host.does(changed)
    assert host.record.reason == "the connection that held this target's lock is gone: run again"
    assert changed.hosts == ["@local"]


def test_a_run_takes_the_lock_once_and_another_one_is_told_who_has_it(changed: Any, lock_here: Lock) -> None:
    host, other = KnownHost(Snapshot()), KnownHost(Snapshot())
    assert host.does(changed) and host.does(changed)
    assert len(lock_here.holders.read_text().split()) == 1
    assert not other.does(changed)
    assert "works on this target: wait for it, then run again" in other.record.reason
    assert changed.hosts == ["@local", "@local"]


def test_after_a_change_the_target_is_asked_again(changed: Any, lock_here: Lock) -> None:
    """Also after one that failed in the middle."""
    host = KnownHost(Snapshot())
    assert host.does(changed)
    assert memory_of(host.host).last is None


def test_a_deploy_waits_for_a_switch_that_an_earlier_one_left_at_work(
    hold: Hold, programs_here: Path, tmp_path: Path
) -> None:
    (tmp_path / "at work").touch()
    program(programs_here / "systemctl", f'test -e "{tmp_path}/at work"')
    program(programs_here / "journalctl", f'cat "{tmp_path}/said"')
    (tmp_path / "said").touch()
    first = hold("ann")
    waits = "wait the release of an earlier deploy is still being judged here: "
    assert line(first) == f"{waits}it begins"
    (tmp_path / "said").write_text("starting the server, 5 s so far\n")
    assert line(first) == f"{waits}starting the server, 5 s so far", "each step is said once"
    (tmp_path / "at work").unlink()
    assert any(line(first) == "held" for _ in range(100))
