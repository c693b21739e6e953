"""A file that was hashed once, and the receipt beside it that saves hashing 700 MB in every run.

The receipt holds what a changed file cannot keep: size, inode, mtime and ctime (which no tool can set back). When any
of them differs the file is hashed again: a file that was only touched costs one read, and a changed file never passes.
"""

import contextlib
import os
from pathlib import Path
from typing import Literal

from deploy.controller.files import sha256_of, sync
from deploy.formats.values import Frozen, Sha256


class Receipt(Frozen):
    """`<name>.receipt.json`. `size` in bytes, times in nanoseconds since 1970. A receipt without a version is of 1."""

    version: Literal[1] = 1
    sha256: Sha256
    size: int
    inode: int
    mtime_ns: int
    ctime_ns: int

    @staticmethod
    def of(path: Path, sha256: str) -> "Receipt":
        """The receipt of a file that was just verified."""
        stat = path.stat()
        return Receipt(
            sha256=sha256,
            size=stat.st_size,
            inode=stat.st_ino,
            mtime_ns=stat.st_mtime_ns,
            ctime_ns=stat.st_ctime_ns,
        )


def has_receipt(path: Path, sha256: str, size: int) -> bool:
    """Whether path was verified before and not touched since; reads none of its bytes and needs no lock."""
    try:
        return path.stat().st_size == size and _read_receipt(path) == Receipt.of(path, sha256)
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


def _read_receipt(path: Path) -> Receipt | None:
    with contextlib.suppress(OSError, ValueError):
        return Receipt.model_validate_json(_receipt_path(path).read_bytes())
    return None


def _write_receipt(path: Path, sha256: str) -> None:
    """Writes the receipt if it can: in a cache that became read-only every run hashes, which is slow but right."""
    with contextlib.suppress(OSError):
        part = _receipt_path(path).with_suffix(f".{os.getpid()}.part")
        part.write_text(Receipt.of(path, sha256).model_dump_json())
        part.replace(_receipt_path(path))
