"""The root of a base, grown for a deploy and fitted afterwards: to what resize2fs can do, and to what SIZE says."""

import os
from pathlib import Path

import pytest

from deploy.debian.workspace import Workspace
from deploy.errors import BoardllamaError
from deploy.image.base.appliance import OpenedBase, fit_root, grow_root, take_out_root
from deploy.image.base.partitions import read_disk
from deploy.image.base.superblock import read_superblock
from deploy.image.base.vendor_system import VendorSystem
from tests.image.vendor_tree import mounted
from tests.unit.base_disks import DOS, MIB, make_disk, put_ext4

ROOT_AT, ROOT_BYTES, FULL = 4 * MIB, 1200 * MIB, 1000 * MIB
CONTENT = b"what the deploy has brought\n" * 1000
TABLE = f"{DOS}start={ROOT_AT // 512},size={ROOT_BYTES // 512},type=83\n"


@pytest.fixture
def full(tmp_path: Path) -> OpenedBase:
    """A base whose root is nearly full, grown by 2 GiB, as for a board of that memory."""
    path = put_ext4(make_disk(tmp_path / "disk.img", TABLE, ROOT_AT + ROOT_BYTES), ROOT_AT, ROOT_BYTES)
    with mounted(path, ROOT_AT, tmp_path / "tree") as tree, (tree / "vendors").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, FULL)
    (tmp_path / "work").mkdir()
    disk = read_disk(path, "vendor.img")
    root = take_out_root(Workspace(tmp_path / "work", "trixie"), disk)
    system = VendorSystem({}, frozenset())
    base = OpenedBase("vendor.img", "", disk, root, root.superblock.size, system, {}, {})
    root.mend("check")
    grow_root(base, 2048 * MIB)
    with mounted(root.disk, 0, tmp_path / "tree") as tree, (tree / "ours").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 500 * MIB)
        for place in range(0, 500 * MIB, 4 * MIB):  # in every part of the new space
            os.pwrite(file.fileno(), CONTENT, place)
    return base


def sizes(base: OpenedBase) -> tuple[int, int, int]:
    """Of the file system, its partition and the rest of the disk, in bytes."""
    disk = base.disk.path
    return (read_superblock(disk, ROOT_AT).size, read_disk(disk, "vendor.img").root.size, disk.stat().st_size - ROOT_AT)


def check_content(base: OpenedBase, folder: Path) -> None:
    """All that was written is there, on the finished disk."""
    with mounted(base.disk.path, ROOT_AT, folder, "ro", "noload") as tree, (tree / "ours").open("rb") as file:
        for place in range(0, 500 * MIB, 4 * MIB):
            assert os.pread(file.fileno(), len(CONTENT), place) == CONTENT, place


def test_a_full_root_becomes_as_small_as_resize2fs_can_make_it(full: OpenedBase, tmp_path: Path) -> None:
    fit_root(full, None)
    check_content(full, tmp_path / "tree")
    (size,) = {*sizes(full)}
    assert FULL + 500 * MIB < size < FULL + 2048 * MIB


def test_a_root_gets_the_size_that_was_said(full: OpenedBase, tmp_path: Path) -> None:
    fit_root(full, 4000 * MIB)
    check_content(full, tmp_path / "tree")
    assert {*sizes(full)} == {4000 * MIB}


def test_a_size_that_is_too_small_is_refused(full: OpenedBase) -> None:
    with pytest.raises(BoardllamaError, match=r"SIZE leaves 1300 MiB to the root and it needs \d+ MiB"):
        fit_root(full, 1300 * MIB)
