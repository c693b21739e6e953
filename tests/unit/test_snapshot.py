"""What is known of a target: asked in one round trip, here of a real shell, and again when it may have changed."""

import subprocess
from contextlib import suppress
from typing import Any

import pytest
from pyinfra.api import FactBase

from deploy.hosts import snapshot
from deploy.hosts.facts import StatusInfo
from deploy.hosts.facts.combined import Questions, combined_command, split_answers
from deploy.hosts.lock import TargetStep
from deploy.hosts.remote import Remote
from deploy.hosts.snapshot import (
    Everything,
    ReleaseThere,
    Snapshot,
    forget_snapshot,
    memory_of,
    release_seen,
    snapshot_of,
)


class Says(FactBase[list[str]]):
    """The lines of a shell command."""

    @staticmethod
    def default() -> list[str]:
        return ["nothing"]

    def command(self, shell: str) -> str:
        return shell

    def process(self, output: list[str]) -> list[str]:
        return output


def shell(command: str) -> list[str]:
    """Lines of its output, as pyinfra hands them to a fact."""
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("echo one; echo two", ["one", "two"]),
        ("printf 'no newline at its end'", ["no newline at its end"]),
        ("echo; echo between; echo", ["", "between", ""]),
        ("true", ["nothing"]),
        ("echo half; exit 3", ["nothing"]),
        ("cd /; exit 0", ["nothing"]),
    ],
)
def test_questions_in_one_command_do_not_disturb_each_other(command: str, answer: list[str]) -> None:
    """Whatever the one in the middle does."""
    questions: Questions = {
        "before": (Says(), {"shell": "pwd"}),
        "between": (Says(), {"shell": command}),
        "after": (Says(), {"shell": "pwd"}),
    }
    here = shell("pwd")
    assert split_answers(questions, shell(combined_command(questions))) == {
        "before": here,
        "between": answer,
        "after": here,
    }


def test_this_machine_has_no_release_and_is_itself() -> None:
    found = Everything().process(shell(Everything().command(("/etc/hostname",))))
    assert found.board.machine == shell("uname -m")[0]
    assert found.board.memory > 0
    assert set(found.texts) <= {"/etc/hostname"}
    assert found.current == ReleaseThere()


class Target:
    """A host that counts what it is asked."""

    def __init__(self) -> None:
        self.connector_data: dict[str, Any] = {}
        self.asked: list[Any] = []

    def get_fact(self, fact: type[FactBase[Any]], **given: Any) -> Any:
        self.asked.append(given.get("folder") or given["texts"])
        if fact is Everything:
            return Snapshot(current=ReleaseThere({"boardllama": "ab"}, StatusInfo(current="r1")))
        return ReleaseThere({"boardllama": "cd"})


@pytest.fixture
def target() -> Any:
    """A fresh one."""
    return Target()


def test_a_host_is_asked_once(target: Any) -> None:
    assert snapshot_of(target) is snapshot_of(target)
    assert release_seen(target, "r1").files == {"boardllama": "ab"}, "what the snapshot says of the committed one"
    assert len(target.asked) == 1


def test_another_release_than_the_committed_one_is_asked_about_alone(target: Any) -> None:
    snapshot_of(target)
    assert release_seen(target, "r2").files == {"boardllama": "cd"}
    release_seen(target, "r2")
    assert target.asked[1:] == ["/usr/lib/boardllama/releases/r2"]


def test_a_small_file_that_was_not_asked_for_is_asked_for_from_then_on(target: Any) -> None:
    snapshot_of(target)
    snapshot_of(target, "/etc/mine")
    assert "/etc/mine" in target.asked[1]
    snapshot_of(target, "/etc/mine")
    forget_snapshot(target)
    snapshot_of(target)
    assert "/etc/mine" in target.asked[2]
    assert len(target.asked) == 3


def cut(_remote: Remote) -> None:
    """A step that fails half way."""
    raise OSError("cut")


@pytest.mark.parametrize("step", [lambda remote: None, cut])
def test_after_a_step_that_may_have_changed_something_it_is_asked_again(
    target: Any, step: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.hosts.lock.hold_lock", lambda remote: None)
    before = snapshot_of(target)
    release_seen(target, "r2")
    with suppress(OSError):
        TargetStep(step).function(Remote(target, {}))
    assert snapshot_of(target) is not before
    release_seen(target, "r2")
    assert len(target.asked) == 4
    assert memory_of(target).first is before, "what it had when the run began stays known"


def test_what_is_old_is_asked_again(target: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others of the run get gigabytes meanwhile, and its operator goes on working on it."""
    snapshot_of(target)
    monkeypatch.setattr(snapshot, "FRESH_SECONDS", 0.0)
    snapshot_of(target)
    assert len(target.asked) == 2
