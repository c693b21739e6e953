"""Files and links, hashed and made durable; the controller's deploy/controller/files.py takes its own from here."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

_BLOCK = 1 << 20


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes, 64 hex digits; about 0.5 s for 669 MB on x86-64."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            time.sleep(0)  # a controller's greenlets get a turn: boards give its lock up after half a minute of silence
    return digest.hexdigest()


def error_reason(error: Exception) -> str:
    """What an error says, without the number and the path of Python's text: the message around it names the path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def receipt_name(name: str) -> str:
    """The file beside a large file that says by which proof the large file is known: deploy/hosts/receipt.py."""
    return f".{name}.receipt"


def receipt_line(path: Path, sha256: str) -> str:
    """The receipt of a file that was just proven, as `stat` prints it (deploy/hosts/receipt.py)."""
    seen = path.stat()
    changed = f"{seen.st_ctime_ns // 10**9}.{seen.st_ctime_ns % 10**9:09}"
    return f"receipt 1 {sha256} {seen.st_ino} {seen.st_size} {changed} {path}"


def is_proven(path: Path, sha256: str) -> bool:
    """Whether the file has a receipt that says so. Reads none of its bytes."""
    receipt = path.with_name(receipt_name(path.name))
    return path.is_file() and receipt.is_file() and receipt.read_text().strip() == receipt_line(path, sha256)


def prove_file(path: Path, sha256: str) -> bool:
    """Whether the file's bytes have this sha256. One that has gets its receipt."""
    if sha256_of(path) != sha256:
        return False
    keep_receipt(path, sha256)
    return True


def keep_receipt(path: Path, sha256: str) -> None:
    """Leaves the receipt of a file that was just proven to have this sha256."""
    write_file(path.with_name(receipt_name(path.name)), f"{receipt_line(path, sha256)}\n".encode())


def sync(path: Path) -> None:
    """fsync of a file or folder: what was written to it survives a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def leads_to(path: Path, target: Path) -> bool:
    """True for a link with exactly this target."""
    return path.is_symlink() and path.readlink() == target


def leads_into(path: Path, folder: Path) -> bool:
    """True for a link whose target is a name directly in the folder."""
    return path.is_symlink() and path.readlink().parent == folder


def replace_link(path: Path, target: Path) -> None:
    """Makes `path` lead to `target`, in one durable step: at no moment is there no link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    aside.replace(path)
    sync(path.parent)


def write_file(
    path: Path, content: bytes, mode: int = 0o644, owner: Callable[[Path], object] = lambda path: None
) -> None:
    """Makes `path` hold `content`, in one durable step; `owner` gives the file to its owner.

    At no moment may more people read the file than at the end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    aside.touch(0o600)
    aside.write_bytes(content)
    owner(aside)
    aside.chmod(mode)
    sync(aside)
    aside.replace(path)
    sync(path.parent)
