"""What a vendor's root may hold and an edit may lose: put there, and looked at, by the kernel's own ext4."""

import fcntl
import hashlib
import os
import socket
import stat
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# linux/fs.h, linux/posix_acl_xattr.h, linux/capability.h.
GET_FLAGS, SET_FLAGS = 0x80086601, 0x40086602
IMMUTABLE, NO_TIMES = 0x10, 0x80
ACL = struct.pack("<I" + "HHI" * 5, 2, 1, 6, 2**32 - 1, 2, 6, 1234, 4, 4, 2**32 - 1, 16, 6, 2**32 - 1, 32, 4, 2**32 - 1)
CAPABILITIES = struct.pack("<5I", 0x02000001, 1 << 13 | 1 << 12, 0, 0, 0)
PLACE = "opt/vendor"


@contextmanager
def mounted(disk: Path, at: int, folder: Path, *options: str) -> Iterator[Path]:
    """The file system at that byte of the disk, by a loop device."""
    folder.mkdir(parents=True)
    words = ",".join(("loop", f"offset={at}", *options))
    subprocess.run(["mount", "-t", "ext4", "-o", words, str(disk), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def put_rarities(tree: Path) -> None:
    """Puts there what copies of a tree lose: each kind of file, of attribute and of name."""
    place = tree / PLACE
    place.mkdir(parents=True)
    (place / "plain").write_text("hello")
    for name in ("first", "second"):
        (place / name).hardlink_to(place / "plain")
    (place / "long-link").symlink_to("x" * 200)
    with (place / "sparse").open("wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(b"A")
    for name in ("capable", "acl", "immutable", "big-id", "old"):
        (place / name).write_text(name)
    os.setxattr(place / "plain", "user.note", b"y" * 300)
    os.setxattr(place / "plain", "trusted.vendor", b"t")
    os.setxattr(place / "capable", "security.capability", CAPABILITIES)
    os.setxattr(place / "acl", "system.posix_acl_access", ACL)
    (place / "folder").mkdir()
    (place / "folder").chmod(0o3777)
    os.setxattr(place / "folder", "system.posix_acl_default", ACL)
    os.mknod(place / "character", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(place / "block", 0o600 | stat.S_IFBLK, os.makedev(7, 0))
    os.mkfifo(place / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place / "socket"))
    os.chown(place / "big-id", 70_000, 4_000_000)
    os.utime(place / "old", ns=(1, -315_000_000_123_456_789))
    (place / os.fsdecode(b"we\nird \xff\xfe name")).write_text("n")
    set_flags(place / "immutable", IMMUTABLE | NO_TIMES)


def set_flags(path: Path, flags: int) -> None:
    """Adds flags to a file's inode."""
    with path.open("rb") as file:
        fcntl.ioctl(file, SET_FLAGS, struct.pack("l", inode_flags(path) | flags))


def inode_flags(path: Path) -> int:
    """The flags of the inode of a file or folder, without those that say how ext4 stores it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        flags: int = struct.unpack("l", fcntl.ioctl(descriptor, GET_FLAGS, bytes(8)))[0]
    finally:
        os.close(descriptor)
    return flags & (IMMUTABLE | NO_TIMES)


def snapshot(tree: Path) -> dict[str, dict[str, Any]]:
    """All that the kernel says of every path. Folders have no times: who puts something into a folder changes its."""
    paths = [Path(folder, name) for folder, folders, files in os.walk(tree) for name in (*folders, *files)]
    first: dict[int, str] = {}
    found = {}
    for path in sorted(paths):
        name = str(path.relative_to(tree))
        found[name] = state_of(path) | {"same as": first.setdefault(path.lstat().st_ino, name)}
    return found


def state_of(path: Path) -> dict[str, Any]:
    """One path of a snapshot."""
    seen = path.lstat()
    names = os.listxattr(path, follow_symlinks=False)
    state: dict[str, Any] = {
        "owner": (seen.st_mode, seen.st_uid, seen.st_gid, seen.st_rdev),
        "attributes": {name: os.getxattr(path, name, follow_symlinks=False) for name in names},
    }
    if stat.S_ISDIR(seen.st_mode):
        return state | {"flags": inode_flags(path)}
    state |= {"time": seen.st_mtime_ns, "links": seen.st_nlink, "size": seen.st_size}
    if stat.S_ISLNK(seen.st_mode):
        return state | {"link": path.readlink()}
    if stat.S_ISREG(seen.st_mode):
        has_holes = seen.st_blocks * 512 < seen.st_size // 2
        state |= {"flags": inode_flags(path), "holes": has_holes, "content": file_digest(path)}
    return state


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
        return digest.hexdigest()
