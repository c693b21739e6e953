"""A switch in a unit of its own: begun once at a time, and listened to until its verdict."""

import json
from typing import Any

import pytest

from deploy.onboard.places import SWITCH_UNIT
from deploy.onboard.release import follow
from deploy.onboard.server.health import Unhealthy
from tests.unit.onboard import Target, target
from tests.unit.systemd import Systemd, systemd

__all__ = ["systemd", "target"]


def verdict(target: Target, outcome: str | None, *lines: str, **more: Any) -> None:
    """What a switch has said; no outcome while it goes on."""
    target.places.verdict.parent.mkdir(exist_ok=True)
    end = {"outcome": outcome} if outcome else {}
    target.places.verdict.write_text(json.dumps({"release": "r1", "lines": lines, "reason": "", **end, **more}))


def test_a_switch_is_begun_in_one_unit_that_systemd_starts_again_when_it_is_killed(
    target: Target, systemd: Systemd
) -> None:
    """What an earlier switch has said is not taken for its verdict."""
    verdict(target, "COMMITTED")
    release = target.add("r1")
    follow.begin_switch(release)
    assert systemd.ran[-3:] == [str(release.folder / "boardllama"), "perform", "r1"]
    assert {f"--unit={SWITCH_UNIT}", "--collect", "--property=Restart=on-abnormal"} <= set(systemd.ran)
    assert not target.places.verdict.exists()


def test_there_is_never_a_second_switch(target: Target, systemd: Systemd) -> None:
    systemd.switches()
    verdict(target, None, "trying r0")
    with pytest.raises(Unhealthy, match="a switch is under way here: wait for it"):
        follow.begin_switch(target.add("r1"))
    assert target.places.verdict.exists(), "the one under way is heard to its end"


def test_a_switch_that_systemd_does_not_start_says_why(target: Target, systemd: Systemd) -> None:
    systemd.refuse("Failed to connect to bus: No such file or directory\n")
    with pytest.raises(Unhealthy, match=r"^the switch cannot be started: Failed to connect to bus: No such file"):
        follow.begin_switch(target.add("r1"))


@pytest.mark.parametrize(
    ("outcome", "is_good", "last"),
    [("COMMITTED", True, "committed"), ("BACK", False, "taken back it answers 503"), ("REFUSED", False, "refused")],
)
def test_a_switch_is_heard_until_its_verdict(
    target: Target, systemd: Systemd, outcome: str, is_good: bool, last: str
) -> None:
    said: list[str] = []
    verdict(target, outcome, "trying r1", reason="it answers 503" if outcome == "BACK" else "")
    assert follow.follow_switch(target.places, said.append) is is_good
    assert said == ["trying r1", last]


def test_a_switch_that_ends_without_a_verdict_is_not_waited_for(
    target: Target, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict(target, None, "trying r1")
    monkeypatch.setattr(follow, "time", None)  # whoever waits fails
    with pytest.raises(Unhealthy, match=f"the switch ended without a verdict: journalctl -u {SWITCH_UNIT}"):
        follow.follow_switch(target.places, print)
