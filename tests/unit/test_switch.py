"""A switch ends with a release that is good, whatever the new one is."""

import json
from typing import Any

import pytest

from deploy.onboard.release import check, gate, releases, switch
from deploy.onboard.release.check import CheckError
from deploy.onboard.release.release_table import release_rows
from deploy.onboard.release.releases import Release, current_release
from deploy.onboard.release.verdict import Outcome, last_rate
from tests.unit.onboard import Target, consistent, target
from tests.unit.systemd import Systemd, systemd

__all__ = ["systemd", "target"]


def verdict(target: Target) -> Any:
    """What whoever asked for the switch reads."""
    return json.loads(target.places.verdict.read_text())


def states(target: Target) -> dict[str, str]:
    """Id → state."""
    return {row["id"]: row["state"] for row in release_rows(target.places)}


def test_the_first_release_is_committed(target: Target) -> None:
    assert switch.perform_switch(target.add("r1")) is Outcome.COMMITTED
    assert consistent(target) == "r1"
    assert states(target) == {"r1": "current"}
    assert target.service.enabled(target.places).readlink() == target.public_unit, "and serves after each boot"
    assert target.places.doctor.resolve() == (target.places.public_bin / "boardllama").resolve()


def test_a_good_release_takes_over_and_the_one_before_is_kept(target: Target) -> None:
    for name in ("r1", "r2", "r3"):
        assert switch.perform_switch(target.add(name)) is Outcome.COMMITTED
    assert consistent(target) == "r3"
    assert states(target) == {"r3": "current", "r2": "previous"}
    assert {path.name for path in target.places.builds.iterdir()} == {"build-r3", "build-r2"}


def test_a_bad_release_is_taken_back_and_both_facts_are_told(target: Target) -> None:
    switch.perform_switch(target.add("r1"))
    target.bad = {"r2"}
    assert switch.perform_switch(target.add("r2")) is Outcome.BACK
    assert consistent(target) == "r1"
    assert target.judged == ["r1", "r2", "r1"], "the one that came back is judged too"
    assert verdict(target)["lines"][-1] == "r2 is not good, going back to r1"
    said = verdict(target)["reason"]
    assert "it answers 503" in said
    assert "its last line" in said
    assert "r1 serves again" in said
    assert states(target) == {"r1": "current", "r2": "rejected: it answers 503"}


def test_a_rejected_release_may_be_tried_again(target: Target) -> None:
    switch.perform_switch(target.add("r1"))
    second = target.add("r2")
    target.bad = {"r2"}
    switch.perform_switch(second)
    target.bad = set()
    assert switch.perform_switch(second) is Outcome.COMMITTED
    assert second.rejected is None
    assert states(target) == {"r2": "current", "r1": "previous"}


def test_when_the_old_one_is_not_healthy_either_that_is_told(target: Target) -> None:
    switch.perform_switch(target.add("r1"))
    target.bad = {"r1", "r2"}
    assert switch.perform_switch(target.add("r2")) is Outcome.STRANDED
    assert "r1: it answers 503" in verdict(target)["reason"]
    assert target.judged == ["r1", "r2", "r1"], "nothing was edited that could be undone"


def test_a_bad_first_release_leaves_nothing_served(target: Target) -> None:
    target.bad = {"r1"}
    assert switch.perform_switch(target.add("r1")) is Outcome.BACK
    assert verdict(target)["reason"].endswith("; no release was served before, and none is now")
    assert current_release(target.places) is None
    assert not target.trial.exists()


def test_a_release_that_is_refused_is_never_tried(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    switch.perform_switch(target.add("r1"))

    def refuse(release: Release) -> None:
        raise CheckError("one byte differs")

    monkeypatch.setattr(switch, "check_release", refuse)
    assert switch.perform_switch(target.add("r2")) is Outcome.REFUSED
    assert target.judged == ["r1"]
    assert verdict(target)["reason"] == "one byte differs"


@pytest.mark.parametrize(
    ("name", "text"), [("manifest.json", "{"), ("manifest.json", "{}"), ("config.json", '{"server": {"port": 0}}')]
)
def test_whatever_is_wrong_with_a_release_before_its_trial_refuses_it(
    target: Target, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    """A worn card gives back anything."""
    switch.perform_switch(target.add("r1"))
    monkeypatch.setattr(switch, "check_release", check.check_release)
    second = target.add("r2")
    (second.folder / name).write_text(text)
    assert switch.perform_switch(second) is Outcome.REFUSED
    assert name in verdict(target)["reason"]
    assert consistent(target) == "r1"


def test_a_release_takes_over_from_one_whose_manifest_is_damaged(target: Target) -> None:
    switch.perform_switch(target.add("r1"))
    (target.release("r1").folder / "manifest.json").write_text("{")
    target.bad = {"r2"}
    assert switch.perform_switch(target.add("r2")) is Outcome.STRANDED
    assert "it answers 503" in verdict(target)["reason"], "a deploy is told, whatever cannot be read"
    target.bad = set()
    assert switch.perform_switch(target.add("r3")) is Outcome.COMMITTED
    assert consistent(target) == "r3"


def test_going_back_and_forth_keeps_both(target: Target) -> None:
    first = target.add("r1")
    switch.perform_switch(first)
    second = target.add("r2")
    for release in (second, first, second, first):
        switch.perform_switch(release)
        assert consistent(target) == release.id
    assert states(target) == {"r1": "current", "r2": "previous"}


def test_a_rollback_shortens_no_history(target: Target) -> None:
    for name in ("r1", "r2", "r3"):
        switch.perform_switch(target.add(name, keep=3))
    switch.perform_switch(target.release("r2"))
    assert [release.id for release in releases.lineage(target.places)] == ["r2", "r3", "r1"]


@pytest.mark.parametrize("failing", ["adopt_edits", "commit_release"])
def test_a_disk_that_is_full_in_the_middle_ends_with_the_old_release(
    target: Target, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    switch.perform_switch(target.add("r1"))

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(switch, failing, full)
    assert switch.perform_switch(target.add("r2")) is Outcome.BACK
    assert "No space left" in verdict(target)["reason"]
    assert consistent(target) == "r1"


def test_what_fails_after_the_commit_does_not_undo_it(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    switch.perform_switch(target.add("r1"))

    def failed(*_args: object, **_more: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(switch, "prune_releases", failed)
    assert switch.perform_switch(target.add("r2")) is Outcome.COMMITTED
    assert consistent(target) == "r2"


def test_a_disk_that_is_full_before_a_model_is_brought_is_told(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(switch, "replace_link", full)
    assert switch.perform_switch(target.add("r1", model=None)) is Outcome.REFUSED
    assert "No space left" in verdict(target)["reason"]


def test_a_model_that_the_operator_brings_is_waited_for(target: Target) -> None:
    assert switch.perform_switch(target.add("r1", model=None)) is Outcome.WAITING
    assert target.judged == []
    (target.service.models / "mine.gguf").write_bytes(b"GGUF")
    assert switch.perform_switch(target.release("r1")) is Outcome.SERVING
    assert target.judged == ["r1"]


def test_what_is_committed_again_still_follows_on_the_release_before_it(target: Target) -> None:
    """As each deploy does while the operator's model is waited for: to lead to itself would be the end of the line."""
    switch.perform_switch(target.add("r1"))
    second = target.add("r2", model=None)
    (target.service.models / "m.gguf").unlink()
    for _ in range(2):
        assert switch.perform_switch(second) is Outcome.WAITING
    assert [release.id for release in releases.lineage(target.places)] == ["r2", "r1"]
    assert states(target) == {"r2": "current", "r1": "previous"}


def test_a_server_that_stood_there_before_a_bad_first_release_runs_again(
    target: Target, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "run_systemctl", gate.run_systemctl)
    target.bad = {"r1"}
    release = target.add("r1")
    assert switch.perform_switch(release) is Outcome.BACK
    assert systemd.asked[-1] == f"stop {target.service.unit}", "nothing stood there"
    target.public_unit.write_text("ExecStart=/opt/theirs/boardllama launch\n")
    assert switch.perform_switch(release) is Outcome.BACK
    assert systemd.asked[-2:] == ["daemon-reload", f"restart {target.service.unit}"]
    assert systemd.loaded == target.public_unit.read_text()


def test_after_a_commit_systemd_knows_the_unit_that_a_boot_would_start(
    target: Target, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one of the trial would go on leading to its own release when `current` leads elsewhere."""
    monkeypatch.setattr(switch, "run_systemctl", gate.run_systemctl)
    assert switch.perform_switch(target.add("r1")) is Outcome.COMMITTED
    assert systemd.loaded == target.public_unit.read_text()


def test_a_switch_that_was_cut_after_its_commit_is_ended_by_the_next(target: Target) -> None:
    release = target.add("r1")
    switch.perform_switch(release)
    target.trial.write_text(release.trial_text(target.service))
    assert states(target) == {"r1": "current"}
    assert switch.perform_switch(release) is Outcome.SERVING
    assert not target.trial.exists()
    assert consistent(target) == "r1"


def test_the_speed_of_a_switch_is_that_of_its_release_alone(target: Target) -> None:
    """Another one was asked for since, and refused."""
    first, second = target.add("r1"), target.add("r2")
    assert last_rate(first) is None
    target.places.verdict.parent.mkdir()
    target.places.verdict.write_text(json.dumps({"release": "r2", "lines": [], "tokens_per_second": 9.5}))
    assert (last_rate(first), last_rate(second)) == (None, 9.5)
