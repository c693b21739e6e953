"""Files that a power cut leaves whole: what is flushed to the disk, and in which order with what is renamed."""

import os
from pathlib import Path

import pytest

from deploy.onboard import files
from deploy.onboard.identity.boardllama_txt import ERRORS, FILE
from deploy.onboard.identity.partition import COPY, IdentityFolder
from deploy.onboard.release import switch
from tests.unit.onboard import Target, target

__all__ = ["target"]


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to the disk: "flush NAME", "name NAME", "remove NAME"; the folder of the files is "."."""
    seen: list[str] = []
    flush, name, remove = os.fsync, Path.replace, Path.unlink

    def noted_flush(handle: int) -> None:
        seen.append(f"flush {os.path.relpath(Path(f'/proc/self/fd/{handle}').readlink(), tmp_path)}")
        flush(handle)

    def noted_name(path: Path, target: Path) -> Path:
        seen.append(f"name {target.name}")
        return name(path, target)

    def noted_removal(path: Path, missing_ok: bool = False) -> None:
        seen.extend([f"remove {path.name}"] if path.exists() else [])
        remove(path, missing_ok)

    monkeypatch.setattr(os, "fsync", noted_flush)
    monkeypatch.setattr(Path, "replace", noted_name)
    monkeypatch.setattr(Path, "unlink", noted_removal)
    return seen


def test_a_file_has_its_name_once_its_content_is_on_the_disk(tmp_path: Path, steps: list[str]) -> None:
    (tmp_path / ".key.new").write_text("half of one, from before a cut")
    given: list[str] = []
    files.write_file(tmp_path / "key", b"sk-1", 0o640, lambda path: given.append(oct(path.stat().st_mode & 0o777)))
    assert steps == ["remove .key.new", "flush .key.new", "name key", "flush ."]
    assert (tmp_path / "key").read_bytes() == b"sk-1"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o640
    assert given == ["0o600"], "nobody else reads it before it is its owner's"


def test_a_link_leads_to_the_old_or_to_the_new_at_every_moment(tmp_path: Path, steps: list[str]) -> None:
    link = tmp_path / "current"
    for end in ("r1", "r2"):
        (tmp_path / ".current.new").symlink_to("from before a cut")
        files.replace_link(link, Path(end))
        assert link.readlink() == Path(end)
    assert steps == ["name current", "flush ."] * 2


def test_the_file_of_a_card_is_overwritten_once_its_copy_is_on_the_disk(tmp_path: Path, steps: list[str]) -> None:
    (tmp_path / FILE).write_text("wifi_password = secret\n")
    IdentityFolder(tmp_path).replace_text("#\n")
    overwritten = [f"flush {FILE}", f"flush {FILE}"]
    assert steps == [f"flush {COPY}", "flush .", *overwritten, f"remove {COPY}", "flush ."]
    assert (tmp_path / FILE).read_text() == "#\n"


def test_what_is_wrong_is_on_the_card_when_it_is_taken_out(tmp_path: Path, steps: list[str]) -> None:
    card = IdentityFolder(tmp_path)
    card.write_errors(["line 3: no"])
    assert steps == [f"flush {ERRORS}", "flush ."]
    card.write_errors(["line 3: no"])
    assert len(steps) == 2, "what is there already is not written again"
    card.write_errors([])
    assert steps[2:] == [f"remove {ERRORS}", "flush ."]


def test_a_release_becomes_the_current_one_when_all_of_it_is_on_the_disk(
    target: Target, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sync", lambda: steps.append("flush all"))
    switch.perform_switch(target.add("r1"))
    assert steps[steps.index("name current") - 1] == "flush all"
