"""Commands on a host: each ends, or its end is said in one line."""

from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.connectors.local import LocalConnector

from deploy import activate, remote


def test_a_command_that_does_not_end_after_its_bytes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "END_DEADLINE", 0.3)
    with pytest.raises(TimeoutError, match="no end after 0 s"):
        remote.feed(LocalConnector.__new__(LocalConnector), "exec sleep 60", [b"x"])


def test_a_target_that_falls_silent_during_its_switch_is_not_waited_for() -> None:
    """Its connection may stay open for ever, and the other hosts of the run wait too."""

    def run(_question: str, deadline: int | None = None) -> str:
        assert deadline == activate.POLL_DEADLINE
        raise TimeoutError

    target: Any = SimpleNamespace(run=run, say=print)
    with pytest.raises(activate.NotServed, match="no answer from this target for 60 s; it goes on by itself"):
        activate.follow(target)
