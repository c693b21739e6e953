"""The release that a board is to have: which of its operator's files it takes over, and how it comes to the board."""

from pathlib import Path

import pytest

from deploy import release as releases
from deploy import service
from deploy.facts import ReleaseFiles, Text
from deploy.onboard.places import CONFIG, PUBLIC_UNIT
from deploy.release import Release
from deploy.remote import Remote
from deploy.snapshot import Snapshot, pristine_of
from tests.unit.known_host import KnownHost
from tests.unit.test_release import NOON, release

__all__ = ["release"]

WANTED = {CONFIG: b'{"new": 1}', PUBLIC_UNIT: b"[Unit]\nDescription=new\n"}


def edits(there: dict[Path, bytes], deployed: dict[Path, bytes]) -> dict[Path, bytes]:
    """What is taken over from a board that has these files, where a release wrote those."""
    held = {str(path): content for path, content in there.items()}
    held |= {pristine_of(path): content for path, content in deployed.items()}
    host = KnownHost(Snapshot(texts={path: Text(content, 0o644, "root:root") for path, content in held.items()}))
    with host.turn():
        return service.edits(WANTED)


@pytest.mark.parametrize("path", WANTED, ids=lambda path: path.name)
def test_a_file_that_was_edited_since_it_was_deployed_is_taken_over(path: Path) -> None:
    assert edits({path: b"mine"}, {path: b"old"}) == {path: b"mine"}


@pytest.mark.parametrize("path", WANTED, ids=lambda path: path.name)
def test_what_an_earlier_deploy_or_this_one_wrote_is_no_edit(path: Path) -> None:
    assert edits({}, {}) == {}
    assert edits({path: b"old"}, {path: b"old"}) == {}
    assert edits({path: WANTED[path]}, {path: b"old"}) == {}


def test_a_unit_from_before_the_first_release_is_no_edit_of_ours() -> None:
    """It would start someone else's server. A config.json from before says what its operator wants of ours."""
    assert edits({PUBLIC_UNIT: b"theirs", CONFIG: b"{}"}, {}) == {CONFIG: b"{}"}


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """A board whose releases lie in `tmp_path`."""
    for module in (releases, service):
        monkeypatch.setattr(module, "RELEASES", tmp_path / "releases")
    return KnownHost(Snapshot()).remote


def found(remote: Remote, release: Release) -> dict[str, str]:
    """The release as the next run finds it there."""
    fact = ReleaseFiles()
    return fact.process(remote.run(fact.command(release.folder)).splitlines())


def test_a_release_comes_whole_and_nothing_else_with_it(remote: Remote, release: Release) -> None:
    service.write_release(remote, release, NOON)
    assert found(remote, release) == release.contents(NOON) | {"created": NOON}
    assert [path.name for path in Path(release.folder).parent.iterdir()] == [release.id]


def test_a_damaged_release_is_mended_and_keeps_what_the_target_noted_in_it(remote: Remote, release: Release) -> None:
    service.write_release(remote, release, NOON)
    folder = Path(release.folder)
    (folder / "previous").symlink_to("../r0")
    (folder / "config.json").write_text("damaged")
    (folder / "onboard" / "gate.py").unlink()
    (folder / "llama-server").unlink()
    rest = folder.with_name(f".{release.id}.new")
    rest.mkdir()
    (rest / "half").touch()
    service.write_release(remote, release, NOON)
    assert found(remote, release) == release.contents(NOON) | {"created": NOON}
    assert (folder / "previous").readlink() == Path("../r0")
    assert not (folder / "half").exists() and not rest.exists()
