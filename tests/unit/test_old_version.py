"""From which older version an upgrade is tried, in a clone of any depth."""

import subprocess
from pathlib import Path

import pytest

from tests.vm import old_version
from tests.vm.old_version import SETTING, old_commit, unpack_version

WHO = ("-c", "user.name=a", "-c", "user.email=a@b.example")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of three versions."""
    monkeypatch.delenv(SETTING, raising=False)
    git(tmp_path, "init", "-q")
    for number in range(3):
        (tmp_path / "version").write_text(str(number))
        git(tmp_path, "add", "version")
        git(tmp_path, *WHO, "commit", "-qm", str(number))
    return tmp_path


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True, text=True).stdout.strip()


def test_it_is_the_last_tag_that_is_older(clone: Path) -> None:
    git(clone, *WHO, "tag", "v1", "HEAD~2")
    git(clone, *WHO, "tag", "v2", "HEAD~1")
    git(clone, *WHO, "tag", "v3", "HEAD")
    assert old_commit(clone) == "v2"
    assert (unpack_version("v2", clone / "old", clone) / "version").read_text() == "1"


def test_without_a_tag_it_is_the_oldest_that_was_shown(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    oldest = git(clone, "rev-parse", "--short", "HEAD~2")
    monkeypatch.setattr(old_version, "OLDEST", oldest)
    assert old_commit(clone) == oldest


def test_a_clone_without_history_says_what_it_tries_instead(clone: Path) -> None:
    with pytest.warns(UserWarning, match="HEAD is upgraded to HEAD"):
        assert old_commit(clone) == "HEAD"


def test_a_version_that_is_named_must_be_there(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, "HEAD~1")
    assert old_commit(clone) == "HEAD~1"
    monkeypatch.setenv(SETTING, "0123456")
    with pytest.raises(LookupError, match="BOARDLLAMA_OLD is 0123456: this clone has no such commit"):
        old_commit(clone)
