"""What an operator edits on the target: it becomes part of a release, it is not lost, and it takes no server down."""

import hashlib
import json
import shutil

import pytest

from deploy.onboard.release import switch
from deploy.onboard.release.verdict import Outcome
from tests.unit.onboard import Target, consistent, target
from tests.unit.test_switch import verdict

__all__ = ["target"]


def test_an_operators_file_becomes_part_of_the_release_that_it_changed(target: Target) -> None:
    """As `sed -i` leaves it: a file in the place of the link."""
    first = target.add("r1")
    switch.perform_switch(first)
    target.service.config.unlink()
    target.service.config.write_text("edited")
    switch.perform_switch(target.add("r2"))
    assert consistent(target) == "r2"
    switch.perform_switch(first)
    assert target.service.config.read_text() == "edited"
    assert target.service.config.is_symlink()


def test_a_config_from_before_the_first_release_is_not_lost_to_a_bad_one(target: Target) -> None:
    target.service.config.parent.mkdir(parents=True)
    target.service.config.write_text("mine")
    target.bad = {"r1"}
    switch.perform_switch(target.add("r1"))
    assert target.service.config.read_text() == "mine"


def test_the_current_release_asked_for_again_is_what_it_was_committed_as(target: Target) -> None:
    """An edit that is to be overwritten, when what the deploy wants is what was deployed last."""
    first = target.add("r1")
    switch.perform_switch(first)
    target.service.config.unlink()
    target.service.config.write_text("edited")
    assert switch.perform_switch(first) is Outcome.SERVING
    assert consistent(target) == "r1"
    assert target.service.config.with_name("config.json.before-boardllama").read_text() == "edited"


@pytest.mark.parametrize("model", ["m.gguf", None], ids=["served", "waiting for a model"])
def test_files_from_before_the_first_release_are_kept_beside_it(target: Target, model: str | None) -> None:
    target.public_unit.write_text("theirs")
    assert switch.perform_switch(target.add("r1", model)).is_good
    assert consistent(target) == "r1"
    assert target.public_unit.with_name(f"{target.service.unit}.before-boardllama").read_text() == "theirs"


@pytest.mark.parametrize("replaced", [False, True], ids=["in place", "as sed -i does it"])
def test_an_edit_that_does_not_serve_takes_nothing_down(target: Target, replaced: bool) -> None:
    """It would have shown at the next start of the server; the deploy is one. The operator finds it beside the file."""
    switch.perform_switch(target.add("r1"))
    good = target.service.config.read_text()
    if replaced:
        target.service.config.unlink()
    target.service.config.write_text("too much for this board")
    second = target.add("r2")
    (second.folder / "config.json").write_text("too much for this board")
    target.fatal = "too much"
    assert switch.perform_switch(second) is Outcome.BACK
    assert consistent(target) == "r1"
    assert target.service.config.read_text() == good
    edited = target.service.config.with_name("config.json.edited")
    assert edited.read_text() == "too much for this board"
    assert not target.public_unit.with_name(f"{target.service.unit}.edited").exists(), "that was not edited"
    assert (
        f"r1 serves again as it was committed; what was edited since does not serve, and is kept in {edited}"
        in (verdict(target)["reason"])
    )


def committed_by_an_older_deploy(target: Target, pristine: bytes | None = None) -> bytes:
    """A release without the note of what was judged good, of which the deploy had this config. What serves."""
    first = target.add("r1")
    switch.perform_switch(first)
    good = target.service.config.read_bytes()
    shutil.rmtree(first.folder / "judged")
    (first.folder / "pristine").mkdir()
    (first.folder / "pristine" / "config.json").write_bytes(pristine or good)
    manifest = json.loads((first.folder / "manifest.json").read_text())
    manifest["services"][0]["config"] = hashlib.sha256(good).hexdigest()
    (first.folder / "manifest.json").write_text(json.dumps(manifest))
    return good


def test_a_release_that_an_older_deploy_committed_is_saved_from_an_edit_too(target: Target) -> None:
    good = committed_by_an_older_deploy(target)
    target.service.config.write_text("too much")
    target.bad, target.fatal = {"r2"}, "too much"
    assert switch.perform_switch(target.add("r2")) is Outcome.BACK
    assert target.service.config.read_bytes() == good


def test_what_was_never_judged_is_not_put_in_the_place_of_an_edit(target: Target) -> None:
    """That release served an operator's own file: what the deploy would have had may not serve here."""
    committed_by_an_older_deploy(target, pristine=b"never served")
    target.service.config.write_text("too much")
    target.bad, target.fatal = {"r2"}, "too much"
    assert switch.perform_switch(target.add("r2")) is Outcome.STRANDED
    assert target.service.config.read_text() == "too much"


def test_an_edit_that_is_not_the_cause_stays(target: Target) -> None:
    switch.perform_switch(target.add("r1"))
    target.service.config.write_text("an edit")
    target.bad = {"r1", "r2"}
    assert switch.perform_switch(target.add("r2")) is Outcome.STRANDED
    assert target.service.config.read_text() == "an edit"
    assert not target.service.config.with_name("config.json.edited").exists()


def test_an_earlier_edit_that_was_kept_is_not_lost_to_the_next(target: Target) -> None:
    switch.perform_switch(target.add("r1"))
    target.bad, target.fatal = {"r2"}, "too much"
    for number in (1, 2):
        target.service.config.write_text(f"too much, {number}")
        assert switch.perform_switch(target.release("r2") if number == 2 else target.add("r2")) is Outcome.BACK
    assert target.service.config.with_name("config.json.edited").read_text() == "too much, 1"
    assert target.service.config.with_name("config.json.edited1").read_text() == "too much, 2"


def test_an_edit_that_serves_is_not_undone(target: Target) -> None:
    switch.perform_switch(target.add("r1"))
    target.service.config.write_text("an edit")
    target.bad = {"r2"}
    switch.perform_switch(target.add("r2"))
    assert target.service.config.read_text() == "an edit"


def test_an_edit_that_was_judged_good_is_what_is_gone_back_to(target: Target) -> None:
    """By the switch that its operator asked for: not the file that was deployed, but the one that served."""
    first = target.add("r1")
    switch.perform_switch(first)
    target.service.config.write_text("a good edit")
    assert switch.perform_switch(first) is Outcome.SERVING
    target.service.config.write_text("too much for this board")
    target.bad, target.fatal = {"r2"}, "too much"
    assert switch.perform_switch(target.add("r2")) is Outcome.BACK
    assert target.service.config.read_text() == "a good edit"
