"""A bundle: made from the inventory's kinds of boards, proven file by file, and enough without a network."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from deploy.debian.deb_store import PACKAGES, RELEASES, DebStore
from deploy.debian.word_lists import read_words
from deploy.errors import BoardllamaError
from deploy.fleet.bundle.bundle_file import read_bundle_list, unpack_bundle, write_bundle
from deploy.fleet.channel.record import read_record
from deploy.fleet.gateway import gateway_stage
from deploy.fleet.gateway.acme import ACME_PACKAGES
from deploy.fleet.monitor import story
from deploy.hosts.facts.board import NEEDED_COMMANDS
from deploy.hosts.store import BigFile
from deploy.paths import REPO
from deploy.stages import exporter
from tests.unit.made_offer import KIND, keys
from tests.unit.test_channel import run_kinds, stand_in_build

__all__ = ["keys"]

IMAGE = "boardllama-rpi5.img.zst"


def stand_in_stores(cache: Path) -> None:
    """Debian's packages, one for each release."""
    for release in RELEASES:
        folder = cache / "debs" / f"{release}-arm64"
        folder.mkdir(parents=True)
        (folder / "aria2_1%3a1.36+b~1_arm64.deb").write_text(release)
        names = "".join(f"Package: {name}\n" for name in read_words(PACKAGES))
        (folder / "Packages").write_text(f"{names}Description: of {release}\n")


@pytest.fixture
def bundle(tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle of a controller whose cache is `cache`, and who has made an image."""
    stand_in_build(tmp_path / "cache")
    stand_in_stores(tmp_path / "cache")
    monkeypatch.setenv("BOARDLLAMA_DIST", str(tmp_path / "dist"))
    (tmp_path / "dist").mkdir()
    for name in (IMAGE, f"{IMAGE}.receipt.json", ".half"):
        (tmp_path / "dist" / name).write_text(name)
    done = run_kinds(tmp_path, channel_bundle=tmp_path / "site.bundle")
    assert done.returncode == 0, done.stderr
    return tmp_path / "site.bundle"


def test_a_bundle_is_enough_without_a_network_and_the_channel_is_the_same(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = run_kinds(tmp_path, channel_bundle=bundle)
    assert json.loads(again.stdout)["results"]["totals"]["success"] == 0, "nothing is new"
    here = run_kinds(tmp_path, channel_dest=tmp_path / "channel")
    assert here.returncode == 0, here.stderr
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path / "site"))
    monkeypatch.setenv("BOARDLLAMA_DIST", str(tmp_path / "site dist"))
    alone = ["unshare", "--net", *(["--map-root-user"] if os.geteuid() else [])]
    unpack = [*alone, sys.executable, "-m", "deploy.fleet.bundle", str(bundle)]
    for said in ("files brought into", "all of it is here"):
        done = subprocess.run(unpack, cwd=REPO, capture_output=True, text=True, check=False)
        assert said in done.stdout, done.stderr
    assert (tmp_path / "site dist" / IMAGE).read_text() == IMAGE
    assert all(DebStore(release).is_here and len(DebStore(release).files) == 2 for release in RELEASES)
    there = run_kinds(tmp_path, before=alone, channel_dest=tmp_path / "site channel")
    assert there.returncode == 0, there.stderr
    offers = [read_record(tmp_path / name).kinds[KIND].offering for name in ("channel", "site channel")]
    assert offers[0].release == offers[1].release
    assert offers[0].models == offers[1].models


def damaged(bundle: Path, offset: int) -> Path:
    """A copy with one byte changed."""
    content = bytearray(bundle.read_bytes())
    content[offset] ^= 1
    copy = bundle.with_name("damaged")
    copy.write_bytes(content)
    return copy


def test_what_is_not_as_it_was_signed_is_not_brought(bundle: Path, tmp_path: Path) -> None:
    with tarfile.open(bundle) as archive:
        members = {member.name: member for member in archive}
    model = next(member for name, member in members.items() if name.startswith("models/"))
    with pytest.raises(BoardllamaError, match="is not what was signed: the file is damaged"):
        unpack_bundle(damaged(bundle, model.offset_data + 5), tmp_path / "site")
    assert not (tmp_path / "site" / model.name).exists()
    with pytest.raises(BoardllamaError, match="is not what was signed, or not signed by one of"):
        unpack_bundle(damaged(bundle, members["bundle.json"].offset_data + 30), tmp_path / "site")
    half = tmp_path / "half"
    half.write_bytes(bundle.read_bytes()[: model.offset_data + 100])
    with pytest.raises(BoardllamaError, match="whole"):
        unpack_bundle(half, tmp_path / "site")
    (tmp_path / "text").write_text("x" * 2000)
    with pytest.raises(BoardllamaError, match="is no bundle"):
        unpack_bundle(tmp_path / "text", tmp_path / "site")


def test_somebody_elses_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "others").write_text("boardllama ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFqZ\n")
    with pytest.raises(BoardllamaError, match="not signed by one of"):
        unpack_bundle(bundle, tmp_path / "site", tmp_path / "others")
    assert read_bundle_list(bundle).files


def test_a_bundle_has_every_package_that_a_deploy_installs() -> None:
    installed = {*gateway_stage.PACKAGES, *ACME_PACKAGES, *story.PACKAGES, exporter.PACKAGE, *NEEDED_COMMANDS, "aria2"}
    assert installed <= {*read_words(PACKAGES)}


def test_a_file_that_changed_in_the_cache_is_not_signed(tmp_path: Path, keys: Path) -> None:
    (tmp_path / "model").write_bytes(b"GGUG")
    listed = BigFile(tmp_path / "model", "", hashlib.sha256(b"GGUF").hexdigest(), 4)
    with pytest.raises(BoardllamaError, match=r"has not the sha256 .* any more: delete it, run again"):
        write_bundle(tmp_path / "site.bundle", {"models/m": listed})
    assert not (tmp_path / "site.bundle").exists()
