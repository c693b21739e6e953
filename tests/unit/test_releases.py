"""Releases on the target: what they share, how they are found, and which of them may go."""

from pathlib import Path

import pytest

from deploy.onboard.release import pruning, releases, switch
from tests.unit.onboard import Target, target
from tests.unit.test_switch import states

__all__ = ["target"]


def test_two_models_of_one_name_do_not_touch_each_other(target: Target) -> None:
    first = target.add("r1", content=b"GGUF one")
    switch.perform_switch(first)
    switch.perform_switch(target.add("r2", content=b"GGUF two"))
    public = target.service.models / "m.gguf"
    assert public.read_bytes() == b"GGUF two"
    switch.perform_switch(first)
    assert public.read_bytes() == b"GGUF one"


def test_a_model_that_two_releases_share_is_stored_once_and_outlives_either(target: Target) -> None:
    for name in ("r1", "r2", "r3"):
        switch.perform_switch(target.add(name))
    assert len(list(target.service.model_store.iterdir())) == 1
    switch.perform_switch(target.add("r4", model="n.gguf", content=b"GGUF other"))
    switch.perform_switch(target.add("r5", model="n.gguf", content=b"GGUF other"))
    assert [path.name for path in target.service.models.glob("*.gguf")] == ["n.gguf"]
    assert len(list(target.service.model_store.iterdir())) == 1


def test_pruning_never_removes_what_runs(target: Target) -> None:
    switch.perform_switch(target.add("r1"))
    target.service.started.parent.mkdir(parents=True)
    target.service.started.write_text("127.0.0.1 11434\nrelease r1\n")
    for name in ("r2", "r3", "r4"):
        switch.perform_switch(target.add(name))
    assert set(states(target)) == {"r1", "r3", "r4"}


def test_a_release_under_trial_is_never_pruned_and_half_a_release_always(target: Target) -> None:
    switch.perform_switch(target.add("r1"))
    second, third = target.add("r2"), target.add("r3")
    half = target.places.releases / ".r4.new"
    half.mkdir()
    target.trial.write_text(second.trial_text(target.service))
    assert states(target) == {"r1": "current", "r2": "trial", "r3": "prepared"}
    assert set(pruning.prune_releases(target.places, 2)) == {third.folder, half, target.places.builds / "build-r3"}
    assert second.folder.exists() and (second.folder / "llama-server").exists()


def test_a_link_and_a_file_in_a_store_go_and_what_a_link_leads_to_stays(target: Target, tmp_path: Path) -> None:
    """As somebody may leave them who moved a store by hand."""
    switch.perform_switch(target.add("r1"))
    elsewhere = target.store(tmp_path / "elsewhere", {"kept": b"theirs"})
    link, file = target.places.builds / "linked", target.places.builds / "file"
    link.symlink_to(elsewhere)
    file.touch()
    assert set(pruning.prune_releases(target.places, 2)) == {link, file}
    assert not link.is_symlink() and not file.exists() and (elsewhere / "kept").exists()


def test_a_release_is_found_by_what_only_its_name_begins_with(target: Target) -> None:
    for name in ("ra1", "ra2", "rb1"):
        target.add(name)
    assert releases.find_release("rb", target.places).id == "rb1"
    for name in ("ra", "rc", ""):
        with pytest.raises(LookupError, match="there are ra1, ra2, rb1"):
            releases.find_release(name, target.places)


def test_a_model_that_an_operator_linked_from_elsewhere_is_not_ours_to_remove(target: Target) -> None:
    """Also while its disk is away."""
    link = target.service.models / "theirs.gguf"
    link.symlink_to("/mnt/away/theirs.gguf")
    switch.perform_switch(target.add("r1"))
    switch.perform_switch(target.add("r2", model="n.gguf", content=b"GGUF other"))
    assert link.is_symlink()


@pytest.mark.parametrize("elsewhere", ["builds/build-r1", "releases/r0", "releases", "releases/r1/onboard"])
def test_a_link_that_leads_elsewhere_names_no_release(target: Target, elsewhere: str) -> None:
    (target.add("r1").folder / "onboard").mkdir()
    target.places.current.symlink_to("releases/r1")
    assert releases.current_release(target.places) == releases.find_release("r1", target.places)
    target.places.current.unlink()
    target.places.current.symlink_to(elsewhere)
    assert releases.current_release(target.places) is None
