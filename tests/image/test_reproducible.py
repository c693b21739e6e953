"""The same pins are the same image: made twice, in two folders, at two times. Minutes; the root tree may be cached."""

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from deploy.build.artifact import LICENCES
from deploy.controller import signing
from deploy.image.assembly import make_image
from deploy.image.boards import debian_board
from deploy.image.boot_test import Trial
from deploy.image.outputs import Outputs
from tests.image.tried_image import TriedImage, unpack_image


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Outputs]:
    """Two images of one board; the first is also booted, as `make image` does it."""
    folders = [tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("another") / "and" / "deeper"]
    return [make_image(debian_board("efi"), "smoke", None, folder, boots=folder == folders[0]) for folder in folders]


def test_every_file_has_the_same_bytes(made: list[Outputs]) -> None:
    """Only the signature may differ, where the keys do."""
    one, another = ({path.name: path.read_bytes() for path in out.all_files[:-1]} for out in made)
    assert [name for name in one if one[name] != another[name]] == []


def test_the_files_belong_together(made: list[Outputs]) -> None:
    """As a reader without boardllama checks them."""
    out = made[0]
    subprocess.run(["sha256sum", "--check", "--quiet", out.path_of(".sha256").name], cwd=out.folder, check=True)
    manifest = json.loads(signing.read_signed_file(out.manifest, out.all_files[-1]))
    assert manifest["image"]["sha256"] == hashlib.sha256(out.image.read_bytes()).hexdigest()
    assert {"systemd", "openssh-server"} <= {package["name"] for package in manifest["packages"]}
    assert manifest["pins"]["llama.cpp"] and manifest["release"]


def test_bmaptool_writes_the_image_that_the_manifest_names(made: list[Outputs], tmp_path: Path) -> None:
    """To a new file, whose holes are zeros as a cleared card's are."""
    out, card = made[0], tmp_path / "card"
    subprocess.run(
        ["bmaptool", "-q", "copy", "--bmap", str(out.path_of(".bmap")), str(out.image), str(card)], check=True
    )
    disk = json.loads(out.manifest.read_text())["disk"]
    assert card.stat().st_size == disk["size"]
    with card.open("rb") as file:
        hasher = hashlib.sha256()
        while piece := file.read(1 << 20):
            hasher.update(piece)
    assert hasher.hexdigest() == disk["sha256"]


def test_nothing_of_the_work_is_left(made: list[Outputs]) -> None:
    """dist/ holds the outputs, and the log of the last build."""
    for out in made:
        assert {path.name for path in out.folder.iterdir()} == {path.name for path in out.all_files} | {".work"}
        assert {path.name for path in (out.folder / ".work").iterdir()} <= {".lock", "build.log"}


@pytest.fixture(scope="module")
def tried(made: list[Outputs], tmp_path_factory: pytest.TempPathFactory) -> TriedImage:
    return unpack_image(made[0], debian_board("efi"), tmp_path_factory.mktemp("tried"))


def test_the_licences_of_all_that_is_in_it_are_in_it(made: list[Outputs], tried: TriedImage) -> None:
    """Of each source package at least one copyright file: Debian's packages of one source share a folder by a link."""
    status = read_root(tried, "cat /var/lib/dpkg/status")
    sources: dict[str, list[str]] = {}
    for package in re.findall(r"^Package: .*?(?=^$)", status, re.M | re.S):
        name, source = re.search(r"^Package: (\S+)", package, re.M), re.search(r"^Source: (\S+)", package, re.M)
        assert name
        sources.setdefault((source or name)[1], []).append(name[1])
    folders = read_root(tried, "ls -p /usr/share/doc").split("/")
    assert [source for source, names in sources.items() if not set(names) & set(folders)] == []
    assert "GNU GENERAL PUBLIC LICENSE" in read_root(tried, "cat /usr/share/common-licenses/GPL-2")
    release = json.loads(made[0].manifest.read_text())["release"]
    link = read_root(tried, f"stat /usr/lib/boardllama/releases/{release}/licences.txt")
    _, _, target = link.partition('Fast link dest: "')
    target = target.partition('"')[0] or read_root(tried, f"cat /usr/lib/boardllama/releases/{release}/licences.txt")
    assert read_root(tried, f"cat {target}") == LICENCES.read_text()


def read_root(tried: TriedImage, request: str) -> str:
    """What debugfs answers about the image's root file system."""
    disk = f"{tried.disk}?offset={tried.layout.root_offset}"
    return subprocess.run(["debugfs", "-R", request, disk], capture_output=True, text=True, check=True).stdout


def test_the_image_starts_from_a_usb_disk_too(tried: TriedImage) -> None:
    """`make image` starts it from NVMe."""
    tried.start_on(Trial("usb-storage", cores=4, memory=1024))


def test_a_missing_root_is_said_on_the_console(tried: TriedImage) -> None:
    """And what disks are there, instead of waiting in silence."""
    assert "partition PARTUUID=b0a4d11a-0000-4000-8000-000000000013; disks that are here: nvme0n1. " in (
        tried.console_without_root()
    )
