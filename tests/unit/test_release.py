"""A release as the controller makes it: one id for one content, and a folder that the target's programs understand."""

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.build.artifact import Build, FileEntry, Manifest, Proof
from deploy.build.source import ArchiveSource
from deploy.cpu import named
from deploy.hosts.release import Release, build_folder, programs, stored_model
from deploy.onboard import places
from deploy.onboard.release.releases import Release as OnTarget
from deploy.onboard.release.switch import keep

NOON, LATER = "2026-11-22T12:00:00+00:00", "2026-11-22T13:00:00+00:00"


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """One with a model and nothing edited."""
    source = ArchiveSource(kind="archive", url="https://files.example/llama.tar.gz", sha256="ab" * 32)
    build = Build(source, named("cortex-a76"))
    files = {name: FileEntry(sha256="ab" * 32, size=10) for name in places.PROGRAMS}
    proof = Proof(glibc="2.28", instructions={}, version="1", ran_on="max")
    artifact = Manifest(name="cortex-a76-1", key="k", inputs={}, build_info="b0-1", files=files, proof=proof)
    return Release(
        build=build,
        artifact=artifact,
        model=stored_model(tmp_path / "m.gguf", "m.gguf", "cd" * 32, 5),
        wanted={places.CONFIG: b"{}", places.PUBLIC_UNIT: b"[Unit]"},
        kept={},
        pins={"llama.cpp": "x"},
        policy={"min_tokens_per_second": 0, "releases_kept": 3},
    )


def test_the_same_wishes_are_the_same_release_at_any_time(release: Release) -> None:
    assert replace(release).id == release.id
    assert json.loads(release.manifest(NOON))["id"] == json.loads(release.manifest(LATER))["id"] == release.id


def test_an_id_is_never_taken_for_a_number(release: Release) -> None:
    """pyinfra reads `to=0123` and `to=1e5` as numbers."""
    assert release.id[0] == "r"
    assert len(release.id) == 12


def test_whatever_is_served_differently_is_another_release(release: Release) -> None:
    model = stored_model(Path("/x/m.gguf"), "m.gguf", "ef" * 32, 5)
    others = [
        replace(release, model=model),
        replace(release, wanted=release.wanted | {places.CONFIG: b"{ }"}),
        replace(release, kept={places.CONFIG: b"mine"}),
        replace(release, policy={"min_tokens_per_second": 1, "releases_kept": 3}),
    ]
    assert len({one.id for one in (release, *others)}) == 5


def test_what_is_only_wanted_and_not_served_changes_no_id(release: Release) -> None:
    edited = replace(release, kept={places.CONFIG: b"mine"})
    assert replace(edited, wanted=release.wanted | {places.CONFIG: b"newer"}).id == edited.id


def test_an_edit_is_in_the_release_and_what_was_deployed_beside_it(release: Release) -> None:
    files = replace(release, kept={places.CONFIG: b"mine"}).files(NOON)
    assert (files["config.json"], files["pristine/config.json"]) == (b"mine", b"{}")


def test_binaries_lie_under_their_content_whatever_they_are_called(release: Release) -> None:
    other = release.artifact.model_copy(update={"files": {"llama-server": FileEntry(sha256="00" * 32, size=1)}})
    assert build_folder(release.build, release.artifact) != build_folder(release.build, other)


def test_the_archive_is_the_release_that_the_target_reads(release: Release, tmp_path: Path) -> None:
    folder = tmp_path / "releases" / release.id
    with tarfile.open(fileobj=io.BytesIO(release.archive(NOON))) as archive:
        assert {member.name for member in archive} == set(release.contents(NOON))
        archive.extractall(folder, filter="tar")
    read = OnTarget(folder)
    assert (read.id, read.model, keep(read)) == (release.id, "m.gguf", 3)
    assert read.manifest["created"] == NOON
    assert (folder / "boardllama").stat().st_mode & 0o111
    assert {path.name for path in folder.iterdir() if path.is_symlink()} == {*places.PROGRAMS, "m.gguf"}
    assert set(read.manifest["programs"]) == set(programs())
