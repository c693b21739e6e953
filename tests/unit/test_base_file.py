"""The file that BASE names: unpacked as a stream, proven by its sha256, and never written to."""

import gzip
import hashlib
import lzma
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import zstandard

from deploy.build import fetch
from deploy.controller.files import sha256_of
from deploy.controller.progress import Progress
from deploy.errors import BoardllamaError
from deploy.image.base import moving
from deploy.image.base.base_file import BaseFile, obtain_base, unpack_base
from deploy.image.base.namespace import check_fuse

MIB = 1 << 20
CONTENT = os.urandom(MIB) + bytes(20 * MIB) + os.urandom(MIB // 4) + b"odd" + bytes(MIB)
WAYS: dict[str, Callable[[bytes], bytes]] = {
    "img": bytes,
    "img.xz": lambda content: lzma.compress(content, preset=0),
    "img.gz": gzip.compress,
    "img.zst": lambda content: zstandard.ZstdCompressor(write_checksum=True).compress(content),
}


@pytest.fixture(params=WAYS)
def base(request: pytest.FixtureRequest, tmp_path: Path) -> BaseFile:
    path = tmp_path / f"vendor.{request.param}"
    path.write_bytes(WAYS[request.param](CONTENT))
    return BaseFile(path, sha256_of(path))


def test_it_is_unpacked_with_its_zeros_as_holes(base: BaseFile, tmp_path: Path) -> None:
    before = base.path.stat()
    assert unpack_base(base, tmp_path / "disk", Progress("image")) == base.sha256
    assert (tmp_path / "disk").read_bytes() == CONTENT
    assert (tmp_path / "disk").stat().st_blocks * 512 < 5 * MIB
    assert (base.path.stat().st_mtime_ns, sha256_of(base.path)) == (before.st_mtime_ns, base.sha256)


def refused(base: BaseFile, disk: Path) -> str:
    with pytest.raises(BoardllamaError) as error:
        unpack_base(base, disk, Progress("image"))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_another_file_than_the_one_that_was_said_is_refused(base: BaseFile, tmp_path: Path) -> None:
    said = refused(BaseFile(base.path, "ab" * 32), tmp_path / "disk")
    assert f"has sha256 {base.sha256}, SHA256 says {'ab' * 32}" in said


@pytest.mark.parametrize("name", ["img.xz", "img.gz"])
def test_an_archive_that_was_cut_short_is_damaged(name: str, tmp_path: Path) -> None:
    path = tmp_path / "vendor"
    path.write_bytes(WAYS[name](CONTENT)[:MIB])
    assert "is damaged" in refused(BaseFile(path), tmp_path / "disk")


@pytest.mark.parametrize("name", ["img.xz", "img.gz", "img.zst"])
def test_an_archive_with_a_wrong_byte_is_damaged(name: str, tmp_path: Path) -> None:
    path, packed = tmp_path / "vendor", bytearray(WAYS[name](b"words of a system. " * 100_000))
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(packed)
    assert "is damaged" in refused(BaseFile(path), tmp_path / "disk")


@pytest.mark.parametrize(("start", "kind"), [(b"PK\x03\x04", "a zip archive"), (b"BZh9", "compressed by bzip2")])
def test_archives_of_other_kinds_are_named(start: bytes, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "vendor"
    path.write_bytes(start.ljust(100, b"x"))
    assert f"is {kind}: unpack it" in refused(BaseFile(path), tmp_path / "disk")


def test_a_disk_that_is_too_full_is_said_before_anything_is_written(
    base: BaseFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(free=MIB // 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "has 0 MiB free and a copy of vendor.img" in refused(base, tmp_path / "disk")
    assert not (tmp_path / "disk").exists()


@pytest.mark.parametrize(
    ("told", "sha256", "said"),
    [
        ("missing.img", "", "there is no such file"),
        ("https://vendor.example/system.img.xz", "", "needs SHA256="),
        ("https://vendor.example/system.img.xz", "abc", "64 hexadecimal digits"),
        ("ftp://vendor.example/system.img.xz", "ab" * 32, "begins with https://"),
        ("https://vendor.example/", "ab" * 32, "ends with a file's name"),
    ],
)
def test_what_names_no_base_is_refused(told: str, sha256: str, said: str) -> None:
    with pytest.raises(BoardllamaError, match=said):
        obtain_base(told, sha256)


def test_an_address_is_fetched_once_and_kept_by_its_sha256(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the cut connection had brought is not asked for again: fetch.py's own tests show it."""
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path / "cache"))
    asked: list[str] = []

    def receive(url: str, partial: Path) -> None:
        asked.append(url)
        partial.write_bytes(CONTENT)

    monkeypatch.setattr(fetch, "receive", receive)
    url, sha256 = "https://vendor.example/a%20b/system.img", hashlib.sha256(CONTENT).hexdigest()
    for _ in range(2):
        found = obtain_base(url, sha256.upper())
        assert (found.path.read_bytes(), found.path.name, found.sha256) == (CONTENT, "system.img", sha256)
    assert asked == [url]
    with pytest.raises(BoardllamaError, match=f"sha256 is {sha256}, pinned is {'ab' * 32}"):
        obtain_base(url, "ab" * 32)


def test_a_machine_without_fuse_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BoardllamaError, match=r"cannot be opened .*modprobe fuse"):
        check_fuse(str(tmp_path / "fuse"))


def test_the_end_of_a_file_moves_to_another_and_back(tmp_path: Path) -> None:
    """In pieces of which the last is not whole."""
    disk, root = tmp_path / "disk", tmp_path / "root"
    disk.write_bytes(CONTENT + bytes(moving.CHUNK) + CONTENT)
    whole = disk.read_bytes()
    moving.move_tail(disk, MIB + 7, root, 0)
    assert (disk.read_bytes(), root.read_bytes()) == (whole[: MIB + 7], whole[MIB + 7 :])
    assert root.stat().st_blocks * 512 < 5 * MIB
    moving.move_tail(root, 0, disk, MIB + 7)
    assert (disk.read_bytes(), root.read_bytes()) == (whole, b"")
