"""What an image leaves in dist/: the same bytes for the same disk, and nothing half done."""

import json
import os
import signal
import threading
from pathlib import Path

import jsonschema
import lib4sbom
import pytest
import zstandard

from deploy.controller.files import sha256_of
from deploy.debian.workspace import Workspace
from deploy.formats.image_manifest import Disk, Extent, ImageManifest, Package
from deploy.image import outputs, sbom
from deploy.image.boards import MIB, debian_board
from deploy.image.disk import DiskLayout
from deploy.image.finishing import AssembledImage, image_manifest
from deploy.image.outputs import Outputs
from deploy.models.catalogue.entries import CATALOGUE

STATUS = """\
Package: zlib1g
Status: install ok installed
Architecture: arm64
Version: 1:1.3
Description: first line
 Package: not one

Package: gone
Status: deinstall ok config-files
Architecture: arm64
Version: 1

Package: adduser
Status: install ok installed
Architecture: all
Version: 3.152
"""
SPDX_SCHEMA = Path(lib4sbom.__file__).parent / "schemas/spdx/2.3-schema.json"
RELEASE = {
    "id": "r1",
    "build": {"build_info": "b1-0c1e570"},
    "model": {"name": "m.gguf", "sha256": "ab" * 32},
    "pins": {"llama.cpp": {"commit": "0c1e570"}, "model": "smoke"},
}


def test_installed_packages_alone_are_listed_by_name() -> None:
    assert outputs.installed_packages(STATUS) == (
        Package(name="adduser", version="3.152", arch="all"),
        Package(name="zlib1g", version="1:1.3", arch="arm64"),
    )


@pytest.mark.parametrize("mapped", [1, outputs.SMALL_BYTES], ids=["small", "large"])
def test_compressing_twice_gives_the_same_bytes(mapped: int, tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    disk.write_bytes(os.urandom(1 << 20) * 20)
    made = []
    for name in ("a.zst", "b.zst"):
        outputs.compress_image(disk, tmp_path / name, mapped)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
    assert zstandard.ZstdDecompressor().decompress(made[0]) == disk.read_bytes()


def test_the_manifest_says_what_make_flash_reads(tmp_path: Path) -> None:
    out = Outputs(tmp_path, "qemu")
    for path in out.described_files:
        path.write_bytes(b"x")
    layout = DiskLayout(debian_board("qemu"), 400 * MIB)
    identity = Extent(offset=layout.identity_offset, size=32 * MIB)
    made = AssembledImage(tmp_path / "disk.img", layout.board, layout.boot_sectors({}), identity, RELEASE)
    disk = Disk(size=layout.disk_size, sha256="cd" * 32, mapped=4096)
    manifest = image_manifest(made, [outputs.file_entry(path) for path in out.described_files], disk, ())
    assert ImageManifest.parse(manifest.render()) == manifest
    said = json.loads(manifest.render())
    assert said.pop("starts_from") == {one.value: takes for one, takes in debian_board("qemu").starts_from.items()}
    assert said["image"] == {
        "name": "boardllama-qemu.img.zst",
        "size": 1,
        "sha256": sha256_of(out.image),
    }
    assert said["disk"] == {"size": layout.disk_size, "sha256": "cd" * 32, "mapped": 4096}
    assert said["boot_sectors"] == [[0, 17408]]
    assert said["identity"] == {"offset": 257 * MIB, "size": 32 * MIB}
    assert (said["release"], said["pins"]) == ("r1", RELEASE["pins"])
    wanted = "format board image disk bmap sbom boot_sectors identity identity_slot base packages pins release created"
    assert set(said) == set(wanted.split())


def test_an_older_image_never_seems_signed_by_a_newer_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old signature goes before the first file is replaced, the new one comes last."""
    made, dist = Outputs(tmp_path / "new", "qemu"), tmp_path / "dist"
    for folder in (made.folder, dist):
        folder.mkdir()
        for path in Outputs(folder, "qemu").all_files:
            path.write_text(folder.name)
    seen = []
    rename = Path.rename

    def watched(self: Path, target: Path) -> Path:
        seen.append(((dist / "boardllama-qemu.manifest.json.sig").exists(), target.name))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    outputs.publish_outputs(made, dist)
    assert not any(signed for signed, _ in seen)
    assert seen[-1][1] == "boardllama-qemu.manifest.json.sig"


def test_ctrl_c_while_publishing_comes_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dist/ has the image that it had, or all of the new one."""
    made, dist = Outputs(tmp_path / "new", "qemu"), tmp_path / "dist"
    for folder in (made.folder, dist):
        folder.mkdir()
        for path in Outputs(folder, "qemu").all_files:
            path.write_text(folder.name)
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        os.kill(os.getpid(), signal.SIGINT)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    # As a program has that compresses with several threads: the kernel gives a signal to any that takes it.
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            outputs.publish_outputs(made, dist)
    finally:
        done.set()
        other.join()
    assert {path.read_text() for path in dist.iterdir()} == {"new"}
    assert {path.read_text() for path in Outputs(dist, "qemu").all_files} == {"new"}


def test_a_model_of_the_catalogue_is_named_with_its_licence() -> None:
    def declared(model: str) -> tuple[str, list[str]]:
        file = CATALOGUE[model].main_file
        told = {"model": {"name": file.name, "sha256": file.origin.sha256}, "pins": {"model": {}}}
        packages = sbom.release_packages(told)
        return packages[0]["licenseDeclared"], [own["licenseId"] for own in sbom.own_licences(packages)]

    assert declared("smollm2-135m") == ("Apache-2.0", [])
    other = next(name for name, model in CATALOGUE.items() if model.licence == "LFM Open 1.0")
    assert declared(other) == ("LicenseRef-LFM-Open-1.0", ["LicenseRef-LFM-Open-1.0"])


def test_the_bill_of_materials_is_the_same_twice_and_names_debian_llama_cpp_and_the_model(tmp_path: Path) -> None:
    """By distro2sbom itself, which writes the moment and a random id."""
    made = []
    for place in ("one", "two"):
        root = tmp_path / place / "root"
        (root / "var/lib/dpkg").mkdir(parents=True)
        (root / "var/lib/dpkg/status").write_text(STATUS)
        made.append(sbom.make_sbom(Workspace(tmp_path / place, "trixie"), root, "qemu", RELEASE, sbom.SystemName()))
    assert made[0] == made[1]
    jsonschema.validate(json.loads(made[0]), json.loads(SPDX_SCHEMA.read_text()))
    packages = {package["name"]: package["versionInfo"] for package in json.loads(made[0])["packages"]}
    licences = {package["name"]: package["licenseDeclared"] for package in json.loads(made[0])["packages"]}
    assert (licences["llama.cpp"], licences["m.gguf"]) == ("MIT", "NOASSERTION")
    assert packages["adduser"] == "3.152" and packages["llama.cpp"] == "b1-0c1e570" and packages["m.gguf"] == "ab" * 32
