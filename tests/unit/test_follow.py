"""A switch in a unit of its own: begun once at a time, and listened to until its verdict."""

import json
import threading
from typing import Any

import pytest

from deploy.onboard.places import SWITCH_UNIT
from deploy.onboard.release import follow
from deploy.onboard.release.verdict import Outcome, SwitchVerdict, last_rate
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


def test_each_step_of_a_switch_can_be_read_while_it_runs_and_its_end_with_its_speed(target: Target) -> None:
    release = target.add("r1")
    written = SwitchVerdict(release)
    assert json.loads(target.places.verdict.read_text()) == {"release": "r1", "lines": []}
    written.say("trying r1")
    said = {"release": "r1", "lines": ["trying r1"]}
    assert json.loads(target.places.verdict.read_text()) == said
    assert written.end(Outcome.COMMITTED, rate=7.1234) is Outcome.COMMITTED
    end = {"outcome": "COMMITTED", "reason": "", "tokens_per_second": 7.12}
    assert json.loads(target.places.verdict.read_text()) == said | end
    assert last_rate(release) == 7.12
    assert last_rate(target.add("r2")) is None, "what was measured is another release's"


def test_a_switch_that_goes_on_is_repeated_line_by_line(target: Target, systemd: Systemd) -> None:
    systemd.switches()
    verdict(target, None, "trying r1")
    later = threading.Timer(0.2, lambda: verdict(target, "COMMITTED", "trying r1", "it answers"))
    said: list[str] = []
    later.start()
    assert follow.follow_switch(target.places, said.append)
    assert said == ["trying r1", "it answers", "committed"]


def test_a_switch_that_ends_without_a_verdict_is_not_waited_for(
    target: Target, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict(target, None, "trying r1")
    monkeypatch.setattr(follow, "time", None)  # whoever waits fails
    with pytest.raises(Unhealthy, match=f"the switch ended without a verdict: journalctl -u {SWITCH_UNIT}"):
        follow.follow_switch(target.places, print)
