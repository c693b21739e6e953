"""A file that was hashed once, and the receipt beside it that saves hashing 700 MB in every run.

The receipt holds what a changed file cannot keep: size, inode, mtime and ctime (which no tool can set back). When any
of them differs the file is hashed again: a file that was only touched costs one read, and a changed file never passes.
"""

import contextlib
import json
import os
from pathlib import Path

from deploy.controller.files import sha256_of, sync


def has_receipt(path: Path, sha256: str, size: int) -> bool:
    """Whether path was verified before and not touched since; reads none of its bytes and needs no lock."""
    try:
        return path.stat().st_size == size and _read_receipt(path) == _file_stamp(path, sha256)
    except FileNotFoundError:
        return False


def is_verified(path: Path, sha256: str, size: int) -> bool:
    """Whether path holds exactly the bytes with this sha256 (64 hex digits) and size in bytes.

    Reads none of them when the receipt fits. A file that had to be hashed again and is right gets a new receipt.
    """
    if has_receipt(path, sha256, size):
        return True
    if not path.is_file() or path.stat().st_size != size or sha256_of(path) != sha256:
        return False
    _write_receipt(path, sha256)
    return True


def accept_part(part: Path, path: Path, sha256: str) -> None:
    """Makes the verified part the file at path: fsync, rename in the same folder, fsync the folder, receipt.

    The receipt comes last since a rename changes the ctime; a cut in between costs one more hashing, nothing else.
    """
    sync(part)
    part.replace(path)
    sync(path.parent)
    _write_receipt(path, sha256)


def _receipt_path(path: Path) -> Path:
    return path.with_name(path.name + ".receipt.json")


def _file_stamp(path: Path, sha256: str) -> dict[str, object]:
    stat = path.stat()
    return {
        "sha256": sha256,
        "size": stat.st_size,
        "inode": stat.st_ino,
        "mtime_ns": stat.st_mtime_ns,
        "ctime_ns": stat.st_ctime_ns,
    }


def _read_receipt(path: Path) -> object:
    with contextlib.suppress(OSError, ValueError):
        return json.loads(_receipt_path(path).read_text())
    return None


def _write_receipt(path: Path, sha256: str) -> None:
    """Writes the receipt if it can: in a cache that became read-only every run hashes, which is slow but right."""
    with contextlib.suppress(OSError):
        part = _receipt_path(path).with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(_file_stamp(path, sha256)))
        part.replace(_receipt_path(path))
