"""A switch ends with a release that is good, whenever the power goes."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.onboard.release import switch
from deploy.onboard.release.pruning import find_strays
from deploy.onboard.release.releases import Release, current_release, lineage
from tests.unit.onboard import Target, consistent, target

__all__ = ["target"]


class PowerCut(BaseException):
    """Nothing of the program runs after it."""


def cut_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The power goes before the `step`-th change of the disk. Returns what counts a further function."""
    steps = itertools.count()

    def counted(function: Any) -> Any:
        def called(*args: Any, **kwargs: Any) -> Any:
            if next(steps) == step:
                raise PowerCut
            return function(*args, **kwargs)

        return called

    for name in ("replace", "unlink", "symlink_to", "write_bytes", "mkdir"):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))
    return counted


def boots(target: Target) -> None:
    """What a boot does: /run is empty."""
    for path in sorted((target.root / "run").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (target.root / "run/systemd/system").mkdir(parents=True)


def every_cut(target: Target, new: Release) -> Iterator[tuple[int, bool]]:
    """Cuts the switch to `new` before every change of the disk; the last time it runs to its end."""
    for step in itertools.count():
        with pytest.MonkeyPatch.context() as patch:
            cut_at(step, patch)
            try:
                switch.perform_switch(new)
                yield step, False
                return
            except PowerCut:
                pass
        boots(target)
        yield step, True


@pytest.mark.parametrize("bad", [False, True])
def test_after_a_cut_at_any_step_the_target_boots_into_one_whole_release(target: Target, bad: bool) -> None:
    old = target.add("r1")
    switch.perform_switch(old)
    new = target.add("r2", model="n.gguf", content=b"GGUF other")
    target.service.config.unlink()
    target.service.config.write_text((old.folder / "config.json").read_text())
    target.bad = {"r2"} if bad else set()
    seen = set()
    for _step, was_cut in every_cut(target, new):
        release = current_release(target.places)
        assert release
        seen.add(release.id)
        assert target.served() == release
        assert (target.service.config.read_text() == (release.folder / "config.json").read_text()) or release.id == "r1"
        assert (target.places.public_bin / "llama-server").read_text() == release.id
        if was_cut and release.id == "r2":
            switch.perform_switch(old)  # begin again from the old one
    assert seen == ({"r1"} if bad else {"r1", "r2"})
    assert consistent(target) == ("r1" if bad else "r2")


def test_a_cut_in_a_rollback_leaves_what_it_was_to_go_back_to(target: Target) -> None:
    for name in ("r1", "r2", "r3"):
        switch.perform_switch(target.add(name, keep=3))
    goal = target.release("r2")
    for _step, was_cut in every_cut(target, goal):
        assert {"r2", "r3"} <= {release.id for release in lineage(target.places)}
        assert goal.folder not in find_strays(target.places, 3)
        if was_cut and current_release(target.places) == goal:
            switch.perform_switch(target.release("r3"))
