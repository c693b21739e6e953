"""Folders of ours that someone moved to another disk, with a link in their place."""

from pathlib import Path

import pytest

from deploy.onboard.release.pruning import find_strays
from deploy.onboard.release.releases import current_release
from deploy.onboard.release.switch import commit_release, tidy_up
from tests.unit.onboard import Target, target

__all__ = ["target"]


@pytest.mark.parametrize("name", ["root", "models"])
def test_a_folder_that_lies_on_another_disk_keeps_what_is_served(target: Target, tmp_path: Path, name: str) -> None:
    moved = target.places.root if name == "root" else target.service.models
    other = tmp_path / "other disk"
    if moved.exists():
        moved.rename(other)
    else:
        other.mkdir()
        moved.parent.mkdir(parents=True, exist_ok=True)
    moved.symlink_to(other)
    release = target.add("r00000000001")
    commit_release(release)
    tidy_up(release)
    assert current_release(target.places) == release
    assert find_strays(target.places, 2) == []
    assert (release.folder / "m.gguf").read_bytes() == b"GGUF"
    assert (release.folder / "llama-server").exists()
