"""Folders of a cache: whole, or not there."""

from pathlib import Path

import pytest

from deploy.debian.staging import ensure_folder
from deploy.errors import BoardllamaError


def put_half(new: Path) -> None:
    (new / "tree" / "half").touch()
    raise BoardllamaError("the disk is full")


def put_file(new: Path) -> None:
    (new / "tree" / "file").write_text("whole")


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "kind" / "key"
    with pytest.raises(BoardllamaError, match="the disk is full"):
        ensure_folder(folder, "test", put_half)
    assert [path.name for path in folder.parent.iterdir()] == [".lock"]
    assert (ensure_folder(folder, "test", put_file) / "file").read_text() == "whole"


def test_a_folder_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    assert ensure_folder(ensure_folder(tmp_path / "key", "test", put_file), "test", put_half) == tmp_path / "key"
