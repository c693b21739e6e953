"""A switch ends with a release that is good, whatever the new one is."""

import json
from typing import Any

import pytest

from deploy.onboard import places, releases, switch
from deploy.onboard.check import CheckError
from deploy.onboard.releases import Release, current, table
from deploy.onboard.switch import Outcome
from tests.unit.onboard import Target, consistent, target

__all__ = ["target"]


def verdict() -> Any:
    """What whoever asked for the switch reads."""
    return json.loads(places.VERDICT.read_text())


def states() -> dict[str, str]:
    """Id → state."""
    return {row["id"]: row["state"] for row in table()}


def test_the_first_release_is_committed(target: Target) -> None:
    assert switch.switch(target.add("r1")) is Outcome.COMMITTED
    assert consistent(target) == "r1"
    assert states() == {"r1": "current"}


def test_a_good_release_takes_over_and_the_one_before_is_kept(target: Target) -> None:
    for name in ("r1", "r2", "r3"):
        assert switch.switch(target.add(name)) is Outcome.COMMITTED
    assert consistent(target) == "r3"
    assert states() == {"r3": "current", "r2": "previous"}
    assert {path.name for path in places.BUILDS.iterdir()} == {"build-r3", "build-r2"}


def test_a_bad_release_is_taken_back_and_both_facts_are_told(target: Target) -> None:
    switch.switch(target.add("r1"))
    target.bad = {"r2"}
    assert switch.switch(target.add("r2")) is Outcome.BACK
    assert consistent(target) == "r1"
    assert target.judged == ["r1", "r2", "r1"], "the one that came back is judged too"
    said = verdict()["reason"]
    assert "it answers 503" in said
    assert "its last line" in said
    assert "r1 serves again" in said
    assert states() == {"r1": "current", "r2": "rejected: it answers 503"}


def test_a_rejected_release_may_be_tried_again(target: Target) -> None:
    switch.switch(target.add("r1"))
    second = target.add("r2")
    target.bad = {"r2"}
    switch.switch(second)
    target.bad = set()
    assert switch.switch(second) is Outcome.COMMITTED
    assert states() == {"r2": "current", "r1": "previous"}


def test_when_the_old_one_is_not_healthy_either_that_is_told(target: Target) -> None:
    switch.switch(target.add("r1"))
    target.bad = {"r1", "r2"}
    assert switch.switch(target.add("r2")) is Outcome.STRANDED
    assert "r1: it answers 503" in verdict()["reason"]


def test_a_bad_first_release_leaves_nothing_served(target: Target) -> None:
    target.bad = {"r1"}
    assert switch.switch(target.add("r1")) is Outcome.BACK
    assert current() is None
    assert not places.TRIAL.exists()


def test_a_release_that_is_refused_is_never_tried(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    switch.switch(target.add("r1"))

    def refuse(release: Release) -> None:
        raise CheckError("one byte differs")

    monkeypatch.setattr(switch, "check", refuse)
    assert switch.switch(target.add("r2")) is Outcome.REFUSED
    assert target.judged == ["r1"]
    assert verdict()["reason"] == "one byte differs"


def test_going_back_and_forth_keeps_both(target: Target) -> None:
    first = target.add("r1")
    switch.switch(first)
    second = target.add("r2")
    for release in (second, first, second, first):
        switch.switch(release)
        assert consistent(target) == release.id
    assert states() == {"r1": "current", "r2": "previous"}


def test_a_rollback_shortens_no_history(target: Target) -> None:
    for name in ("r1", "r2", "r3"):
        switch.switch(target.add(name, keep=3))
    switch.switch(Release(places.RELEASES / "r2"))
    assert [release.id for release in releases.lineage()] == ["r2", "r3", "r1"]


def test_two_models_of_one_name_do_not_touch_each_other(target: Target) -> None:
    first = target.add("r1", content=b"GGUF one")
    switch.switch(first)
    switch.switch(target.add("r2", content=b"GGUF two"))
    public = places.MODELS / "m.gguf"
    assert public.read_bytes() == b"GGUF two"
    switch.switch(first)
    assert public.read_bytes() == b"GGUF one"


def test_a_model_that_two_releases_share_is_stored_once_and_outlives_either(target: Target) -> None:
    for name in ("r1", "r2", "r3"):
        switch.switch(target.add(name))
    assert len(list(places.MODEL_STORE.iterdir())) == 1
    switch.switch(target.add("r4", model="n.gguf", content=b"GGUF other"))
    switch.switch(target.add("r5", model="n.gguf", content=b"GGUF other"))
    assert [path.name for path in places.MODELS.glob("*.gguf")] == ["n.gguf"]
    assert len(list(places.MODEL_STORE.iterdir())) == 1


def test_pruning_never_removes_what_runs(target: Target) -> None:
    switch.switch(target.add("r1"))
    places.STARTED.parent.mkdir(parents=True)
    places.STARTED.write_text("127.0.0.1 11434\nrelease r1\n")
    for name in ("r2", "r3", "r4"):
        switch.switch(target.add(name))
    assert set(states()) == {"r1", "r3", "r4"}


@pytest.mark.parametrize("failing", ["adopt", "commit"])
def test_a_disk_that_is_full_in_the_middle_ends_with_the_old_release(
    target: Target, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    switch.switch(target.add("r1"))

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(switch, failing, full)
    assert switch.switch(target.add("r2")) is Outcome.BACK
    assert "No space left" in verdict()["reason"]
    assert consistent(target) == "r1"


def test_what_fails_after_the_commit_does_not_undo_it(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    switch.switch(target.add("r1"))

    def failed(*_args: object, **_more: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(switch, "prune", failed)
    assert switch.switch(target.add("r2")) is Outcome.COMMITTED
    assert consistent(target) == "r2"


def test_a_disk_that_is_full_before_a_model_is_brought_is_told(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(switch, "link", full)
    assert switch.switch(target.add("r1", model=None)) is Outcome.REFUSED
    assert "No space left" in verdict()["reason"]


def test_a_model_that_the_operator_brings_is_waited_for(target: Target) -> None:
    assert switch.switch(target.add("r1", model=None)) is Outcome.WAITING
    assert target.judged == []
    (places.MODELS / "mine.gguf").write_bytes(b"GGUF")
    assert switch.switch(Release(places.RELEASES / "r1")) is Outcome.SERVING
    assert target.judged == ["r1"]


def test_what_is_committed_again_still_follows_on_the_release_before_it(target: Target) -> None:
    """As each deploy does while the operator's model is waited for: to lead to itself would be the end of the line."""
    switch.switch(target.add("r1"))
    second = target.add("r2", model=None)
    (places.MODELS / "m.gguf").unlink()
    for _ in range(2):
        assert switch.switch(second) is Outcome.WAITING
    assert [release.id for release in releases.lineage()] == ["r2", "r1"]
    assert states() == {"r2": "current", "r1": "previous"}
