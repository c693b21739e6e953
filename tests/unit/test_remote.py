"""Commands on a host: each ends, or its end is said in one line."""

from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.connectors.local import LocalConnector

from deploy import activate, remote
from deploy.hosts.record import record_of


def test_a_command_that_does_not_end_after_its_bytes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "QUIET_SECONDS", 0.3)
    with pytest.raises(TimeoutError, match="a command went on for 0 s without"):
        remote.feed(LocalConnector.__new__(LocalConnector), "exec sleep 60", [b"x"])


class Target:
    """Goes away as often as it is told to, and says its verdict when it is back."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.host: Any = SimpleNamespace(connector_data={})
        self.say = print

    def run(self, _question: str) -> str:
        if self.times:
            raise remote.Lost("no sign of life for 120 s")
        return 'active\n{"release": "r2", "lines": [], "outcome": "COMMITTED", "reason": "", "tokens_per_second": 9.5}'

    def reconnect(self) -> None:
        self.times -= 1


def test_a_target_that_goes_away_during_its_switch_is_asked_again() -> None:
    """It goes on by itself, so what counts is what it says when it is back."""
    target: Any = Target(times=2)
    activate.follow(target)
    assert record_of(target.host).tokens_per_second == 9.5
    assert record_of(target.host).after == "r2"


def test_a_target_that_goes_away_again_and_again_is_left_alone() -> None:
    target: Any = Target(times=activate.RETURNS + 1)
    with pytest.raises(remote.Lost, match="it went away 5 times during its switch"):
        activate.follow(target)
