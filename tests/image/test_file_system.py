"""A root file system holds all that its tree does: what only some programs know of a file, and any name."""

import os
import struct
import subprocess
from pathlib import Path

import pytest

from deploy.debian import ext4, tools
from deploy.debian.workspace import SOURCE_DATE_EPOCH, Workspace

UUID = "b0a4d11a-0000-4000-8000-000000000001"
# Access control lists as setfacl writes them: version 2, then a tag, rights and an id for each entry.
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *entry)
    for entry in ((1, 6, 0xFFFFFFFF), (2, 4, 1000), (4, 4, 0xFFFFFFFF), (0x10, 4, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF))
)
# CAP_NET_BIND_SERVICE, permitted and effective.
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)
ODD_NAMES = (b"name-\xff\xfe", "naïve".encode(), b"two\nlines")


def fill(tree: Path, names: list[bytes]) -> None:
    """Files with every kind of thing beside their content, made in that order."""
    tree.mkdir()
    for name in names:
        (tree / os.fsdecode(name)).write_bytes(name)
    os.setxattr(tree / "listed", "system.posix_acl_access", ACL)
    os.setxattr(tree / "listed", "user.note", b"of ours")
    os.setxattr(tree / "capable", "security.capability", CAPABILITY)
    os.link(tree / "listed", tree / "linked")
    os.chown(tree / "owned", 70000, 70001)
    with (tree / "sparse").open("r+b") as file:
        file.truncate(1 << 20)
    for path in (*tree.iterdir(), tree):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    os.utime(tree / "late")


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two file systems of the same files, made in two orders."""
    names = [b"listed", b"capable", b"owned", b"sparse", b"late", *ODD_NAMES]
    made = []
    for order in (names, names[::-1]):
        folder = tmp_path_factory.mktemp("work") / "work"
        folder.mkdir()
        fill(folder / "tree", order)
        workspace = Workspace(folder, tools.SUITE, "file system")
        ext4.make_ext4(workspace, tools.ensure_tools(), folder / "tree", folder / "disk", 16 << 20, UUID)
        made.append(folder / "disk")
    return made


def told(disk: Path, request: str) -> str:
    """What debugfs says of the file system."""
    command = [*tools.ensure_tools().program_command("usr/sbin/debugfs"), "-R", request, str(disk)]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode(errors="backslashreplace")


def test_lists_attributes_and_capabilities_are_kept(disks: list[Path]) -> None:
    said = told(disks[0], "ea_list /listed")
    assert "system.posix_acl_access" in said and "user.note" in said
    assert "security.capability" in told(disks[0], "ea_list /capable")
    assert told(disks[0], "ea_get /listed user.note") == told(disks[0], "ea_get /linked user.note")


def test_any_name_is_kept(disks: list[Path]) -> None:
    """In the root's folder, as ext4 writes an entry: the length of its name, its kind, its name."""
    content = disks[0].read_bytes()
    assert all(bytes([len(name), 1]) + name in content for name in ODD_NAMES)


def test_owners_links_and_holes_are_kept(disks: list[Path]) -> None:
    assert "User: 70000   Group: 70001" in told(disks[0], "stat /owned")
    assert "Links: 2" in told(disks[0], "stat /linked")
    assert "Blockcount: 8\n" in told(disks[0], "stat /sparse")


def test_times_are_kept_and_none_is_after_the_images(disks: list[Path]) -> None:
    assert f"mtime: {1_000_000_000:#x}" in told(disks[0], "stat /listed")
    assert f"mtime: {SOURCE_DATE_EPOCH:#x}" in told(disks[0], "stat /late")


def test_the_order_of_the_files_on_the_controller_changes_nothing(disks: list[Path]) -> None:
    assert disks[0].read_bytes() == disks[1].read_bytes()
