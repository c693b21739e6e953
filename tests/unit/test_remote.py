"""Commands on a host: each ends, or its end is said in one line."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.connectors.local import LocalConnector

from deploy.hosts import remote
from deploy.hosts.remote import Talk
from deploy.hosts.run_record import record_of
from deploy.onboard.places import PLACES
from deploy.stages import activate

VERDICT = PLACES.verdict


def test_a_command_that_does_not_end_after_its_bytes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "QUIET_SECONDS", 0.3)
    with pytest.raises(TimeoutError, match="a command went on for 0 s without"):
        remote.feed_command(LocalConnector.__new__(LocalConnector), "exec sleep 60", [b"x"])


DONE = {"release": "r2", "lines": ["trying r2"], "outcome": "COMMITTED", "reason": "", "tokens_per_second": 9.5}


class Target:
    """Goes away as often as it is told to, each time after a line, and says its verdict when it is back."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.host: Any = SimpleNamespace(connector_data={})
        self.asked: list[str] = []
        self.said: list[str] = []
        self.say = self.said.append
        self.lost = ""

    def talk(self, command: str) -> Talk:
        self.asked.append(command)
        lines, self.lost = iter(self.answers.pop(0)), "" if not self.answers else "no sign of life for 120 s"
        return Talk(lambda: next(lines, ""), lambda data: None, lambda: None)

    def reconnect(self) -> None:
        """Always there again."""


def follow(target: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A switch of that target."""
    monkeypatch.setattr(activate, "why_lost", lambda _host: target.lost)
    activate.follow_target(target, "boardllama switch r2")


TRYING = 'active {"release": "r2", "lines": ["trying r2"]}'
SERVED = f"inactive {json.dumps(DONE)}"


def test_a_switch_is_one_command_that_says_each_line_once(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target(["begun", "active ", TRYING, TRYING, SERVED])
    follow(target, monkeypatch)
    assert (target.said, len(target.asked)) == (["trying r2"], 1)
    assert record_of(target.host).after == "r2"


def test_a_target_that_goes_away_during_its_switch_is_listened_to_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on by itself, so what counts is what it says when it is back; nothing is begun twice."""
    target = Target(["begun", TRYING], [TRYING], [SERVED])
    follow(target, monkeypatch)
    assert record_of(target.host).tokens_per_second == 9.5
    assert [line for line in target.said if "connecting again" not in line] == ["trying r2"]
    assert ["boardllama switch" in command for command in target.asked] == [True, False, False]


@pytest.mark.parametrize(
    ("answers", "error", "said"),
    [
        ([["begun"], *[[TRYING]] * activate.RETURNS], remote.Lost, "it went away 5 times during its switch"),
        ([[], [SERVED]], remote.Lost, "no sign of life for 120 s"),
        ([["refused a switch is under way here"]], remote.RemoteCommandFailed, "^a switch is under way here$"),
        ([["begun", TRYING, 'failed {"release": "r2", "lines": []}']], activate.NotServed, "without a verdict"),
        ([["begun", TRYING]], activate.NotServed, "without a verdict"),
        ([["begun", f"active {json.dumps(DONE | {'outcome': 'BACK'})}"]], activate.NotServed, "r2 is taken back"),
    ],
)
def test_a_switch_that_does_not_end_well_is_told_as_it_is(
    answers: list[list[str]], error: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among them the one that nobody knows whether it began: what another switch left behind is not its verdict."""
    with pytest.raises(error, match=said):
        follow(Target(*answers), monkeypatch)


def test_what_a_target_reports_ends_with_the_verdict(tmp_path: Path) -> None:
    """A real shell; systemctl says what it would of a switch that is at work."""
    verdict, systemctl = tmp_path / "verdict.json", tmp_path / "systemctl"
    systemctl.write_text("#!/bin/sh\necho active\n")
    systemctl.chmod(0o755)
    begun = {"release": "r2", "lines": ['a \\n and the word "outcome"']}
    verdict.write_text(json.dumps(begun))
    command = f"PATH={tmp_path}:$PATH; {activate.REPORTS}".replace(str(VERDICT), str(verdict))
    line, _, end = remote.start_talk(LocalConnector.__new__(LocalConnector), command)
    assert json.loads(line().removeprefix("active ")) == begun
    aside = verdict.with_suffix(".new")
    aside.write_text(json.dumps(DONE))
    aside.rename(verdict)
    rest = []
    while said := line():
        rest.append(json.loads(said.removeprefix("active ")))
    end()
    assert rest[-1] == DONE
