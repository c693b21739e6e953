"""A release as the controller makes it: one id for one content, and a folder that the target's programs understand."""

import io
import json
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.build.artifact import LICENCES, Build, FileEntry, Manifest, Proof
from deploy.build.source import ArchiveSource
from deploy.cpu import find_cpu
from deploy.hosts.release import Served, WantedRelease, build_folder, onboard_programs
from deploy.hosts.release_manifest import Policy
from deploy.hosts.stored_model import StoredModel
from deploy.models.hub.hub_model import HubModel
from deploy.models.model import single_file
from deploy.onboard.places import PLACES, PROGRAMS
from deploy.onboard.release.pruning import releases_kept
from deploy.onboard.release.releases import Release as OnTarget
from deploy.onboard.service import OLLAMA, Service
from tests.services import paths_below, second_service

SECOND = second_service(OLLAMA)
NOON, LATER = "2026-11-22T12:00:00+00:00", "2026-11-22T13:00:00+00:00"


@pytest.fixture
def release(tmp_path: Path) -> WantedRelease:
    """One with a model and nothing edited."""
    source = ArchiveSource(kind="archive", url="https://files.example/llama.tar.gz", sha256="ab" * 32)
    build = Build(source, find_cpu("cortex-a76"))
    files = {name: FileEntry(sha256="ab" * 32, size=10) for name in PROGRAMS}
    proof = Proof(glibc="2.28", instructions={}, version="1", ran_on="max")
    artifact = Manifest(name="cortex-a76-1", key="k", inputs={}, build_info="b0-1", files=files, proof=proof)
    return WantedRelease(
        build=build,
        artifact=artifact,
        served=(served(),),
        pins={"llama.cpp": {"commit": "0c1e570"}},
        policy=Policy(min_tokens_per_second=0, releases_kept=3),
        places=paths_below(tmp_path, PLACES),
    )


def served(service: Service = OLLAMA, **changes: Any) -> Served:
    """A service with a model and nothing edited, but for `changes`."""
    model = stored("cd" * 32, service)
    return replace(
        Served(service, model, {service.config: b"{}", service.public_unit(PLACES): b"[Unit]"}, {}), **changes
    )


def stored(sha256: str, service: Service = OLLAMA) -> StoredModel:
    """A model of 5 bytes in the service's store."""
    return StoredModel(single_file("m.gguf", HubModel("owner/name", "m.gguf", "ab" * 20, sha256, 5)), service)


def serving(release: WantedRelease, *services: Served) -> WantedRelease:
    """The same release with other services."""
    return replace(release, served=services)


def test_the_same_wishes_are_the_same_release_at_any_time(release: WantedRelease) -> None:
    assert replace(release).id == release.id
    assert (
        json.loads(release.manifest_bytes(NOON))["id"] == json.loads(release.manifest_bytes(LATER))["id"] == release.id
    )


def test_an_id_is_never_taken_for_a_number(release: WantedRelease) -> None:
    """pyinfra reads `to=0123` and `to=1e5` as numbers."""
    assert release.id[0] == "r"
    assert len(release.id) == 12


def test_whatever_is_served_differently_is_another_release(release: WantedRelease) -> None:
    wanted = served().wanted
    others = [
        serving(release, served(model=stored("ef" * 32))),
        serving(release, served(wanted=wanted | {OLLAMA.config: b"{ }"})),
        serving(release, served(kept={OLLAMA.config: b"mine"})),
        serving(release, served(replace(OLLAMA, folder="chat"))),
        serving(release, served(), served(SECOND)),
        replace(release, policy=Policy(min_tokens_per_second=1, releases_kept=3)),
    ]
    assert len({one.id for one in (release, *others)}) == 7


def test_what_is_only_wanted_and_not_served_changes_no_id(release: WantedRelease) -> None:
    edited = served(kept={OLLAMA.config: b"mine"})
    newer = replace(edited, wanted=edited.wanted | {OLLAMA.config: b"newer"})
    assert serving(release, newer).id == serving(release, edited).id


def test_an_edit_is_in_the_release_and_what_was_deployed_beside_it(release: WantedRelease) -> None:
    files = serving(release, served(kept={OLLAMA.config: b"mine"})).file_contents(NOON)
    assert (files["config.json"], files["pristine/config.json"]) == (b"mine", b"{}")


def test_binaries_lie_under_their_content_whatever_they_are_called(release: WantedRelease) -> None:
    other = release.artifact.model_copy(update={"files": {"llama-server": FileEntry(sha256="00" * 32, size=1)}})
    assert build_folder(release.build, release.artifact) != build_folder(release.build, other)


def test_the_archive_is_the_release_that_the_target_reads(release: WantedRelease, tmp_path: Path) -> None:
    folder = tmp_path / "releases" / release.id
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(release.tar_archive(NOON))) as archive:
        assert {member.name for member in archive} == set(release.stored_contents(NOON))
    subprocess.run(["tar", "-x", "-C", folder], input=release.tar_archive(NOON), check=True)
    read = OnTarget(folder)
    assert (read.id, read.services, read.model(OLLAMA), releases_kept(read)) == (release.id, (OLLAMA,), "m.gguf", 3)
    assert (read.manifest["created"], read.pin) == (NOON, "0c1e570")
    assert (folder / "boardllama").stat().st_mode & 0o111
    assert {path.name for path in folder.iterdir() if path.is_symlink()} == {*PROGRAMS, "m.gguf", LICENCES.name}
    assert set(read.manifest["programs"]) == set(onboard_programs())
