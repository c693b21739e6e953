"""Where boardllama.txt lies. On an image of our own: in a small FAT partition, which any system can edit and which is
mounted only while it is used. On a vendor's system: on the FAT that the vendor mounts below /boot, else in the root.

FAT has no journal, and renaming is no way to replace a file there: Linux writes the new name with no content first, and
the content some time later. So a copy is written aside and flushed, then the file is overwritten in place: whenever the
power goes, the next boot finds the file or the copy whole.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..commands import ProgramFailed, run_command
from ..files import sync
from ..places import Places
from .boardllama_txt import ERRORS, FILE, LABEL
from .lines import decode_file

COPY = "boardllama.new"
SETTLE_SECONDS = 15
# The file has some 12 lines: a bigger file has this name by mistake.
MOST_BYTES = 1 << 16


@dataclass(frozen=True)
class IdentityFolder:
    """The folder that holds the file. `unlock` makes it writable."""

    folder: Path
    unlock: Callable[[], object] = lambda: None

    def read_text(self) -> str | None:
        """The text of boardllama.txt; None without it. Raises OSError, and ValueError for more than MOST_BYTES."""
        self.finish_replacement()
        file = self.folder / FILE
        if not file.exists():
            return None
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"{FILE} has more than {MOST_BYTES >> 10} KiB: that is no list of names and values")
        return decode_file(content)

    def misnamed_files(self) -> list[str]:
        """A sentence for each file that someone took for boardllama.txt: some systems hide the end of a file's name."""
        names = sorted(path.name for path in self.folder.glob("[Bb]oardllama*.*") if not path.name.startswith("._"))
        others = [name for name in names if name.lower() not in (FILE, ERRORS, COPY)]
        return [f"{name} is not read: the name must be {FILE}" for name in others]

    def replace_text(self, text: str) -> None:
        """Overwrites boardllama.txt with `text`, so that the secrets in the old text are gone from the card."""
        self.unlock()
        content, copy = text.encode(), self.folder / COPY
        copy.touch(0o600)  # in a root file system anybody could read it
        copy.write_bytes(seal_copy(content, (self.folder / FILE).stat().st_size))
        sync(copy)
        sync(self.folder)
        self.overwrite_file(content)
        copy.unlink()
        sync(self.folder)

    def finish_replacement(self) -> None:
        """Finishes a replacement that a power cut interrupted.

        A file whose size is neither the old nor the new one was edited after the cut: that file is left as it is.
        """
        file, copy = self.folder / FILE, self.folder / COPY
        if not copy.exists():
            return
        self.unlock()
        found = unseal_copy(copy.read_bytes())
        if found and file.exists() and file.stat().st_size in (found[1], len(found[0])):
            self.overwrite_file(found[0])
        copy.unlink()
        sync(self.folder)

    def overwrite_file(self, content: bytes) -> None:
        """Writes the content over the old one in place, and line feeds over what is left of the old one."""
        handle = os.open(self.folder / FILE, os.O_RDWR)
        try:
            os.pwrite(handle, content.ljust(os.fstat(handle).st_size, b"\n"), 0)
            os.fsync(handle)
            os.ftruncate(handle, len(content))
            os.fsync(handle)
        finally:
            os.close(handle)

    def write_errors(self, lines: list[str]) -> None:
        """Writes the lines to boardllama-errors.txt; without lines, removes that file."""
        file, text = self.folder / ERRORS, "".join(f"{line}\n" for line in lines)
        there = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
        if there == text:
            return
        self.unlock()
        if lines:
            file.write_bytes(text.encode())
            sync(file)
        else:
            file.unlink()
        sync(self.folder)


def seal_copy(content: bytes, size: int) -> bytes:
    """The new content with a hash, by which half of a copy is known. `size`: bytes of the file that is replaced."""
    body = f"{size}\n".encode() + content
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def unseal_copy(copy: bytes) -> tuple[bytes, int] | None:
    """The content and size that `seal_copy` was given; None for half of a copy."""
    seal, _, body = copy.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != seal:
        return None
    size, _, content = body.partition(b"\n")
    return content, int(size)


@contextmanager
def opened_folder(places: Places) -> Iterator[IdentityFolder | None]:
    """The folder of this board's boardllama.txt; None where there is neither partition nor file. Raises OSError."""
    device = find_partition()
    if device is None:
        yield vendor_folder(places)
        return
    places.card.mkdir(parents=True, exist_ok=True)
    where = str(places.card)
    run_command("mount", "-t", "vfat", "-o", "ro,nosuid,nodev,noexec,umask=0077", str(device), where)
    try:
        yield IdentityFolder(places.card, lambda: run_command("mount", "-o", "remount,rw", where))
    finally:
        run_command("umount", where)


def vendor_folder(places: Places) -> IdentityFolder | None:
    """The folder of a vendor's system in which the file lies; without a file its FAT, for what is misnamed there."""
    fats = mounted_fats(places)
    with_file = [folder for folder in (*fats, places.root_folder) if (folder / FILE).exists()]
    folder = next(iter([*with_file, *fats]), None)
    if folder is None or folder not in fats:
        return IdentityFolder(folder) if folder else None
    return IdentityFolder(folder, lambda: run_command("mount", "-o", "remount,rw", str(folder)))


def mounted_fats(places: Places) -> list[Path]:
    """The FAT file systems that are mounted at or below /boot; the one that a board's firmware reads comes first."""
    mounts = places.mounts.read_text().splitlines() if places.mounts.exists() else []
    rows = [line.split() for line in mounts]
    found = [Path(row[1]) for row in rows if row[2] == "vfat" and places.boot in (Path(row[1]), *Path(row[1]).parents)]
    return sorted(found, key=lambda folder: (folder.name != "firmware", folder))


def find_partition() -> Path | None:
    """The device of the partition. A partition on another disk, such as a card in a reader, is not this board's."""
    # The disk is there: the root file system lies on it. Only its names may be on their way.
    with suppress(ProgramFailed):
        run_command("udevadm", "settle", f"--timeout={SETTLE_SECONDS}", deadline=2 * SETTLE_SECONDS)
    device = Path("/dev/disk/by-label") / LABEL
    if device.exists() and on_disk_of_root(device.stat().st_rdev):
        return device
    # Another board's card, in a reader, may have taken the name.
    return next((device for device in neighbours_of_root() if read_label(device) == LABEL), None)


def read_label(device: Path) -> str:
    """The label of the device's file system; "" without one."""
    try:
        return run_command("blkid", "--output", "value", "--match-tag", "LABEL", str(device)).strip()
    except ProgramFailed:
        return ""


def neighbours_of_root(sys: Path = Path("/sys/dev/block")) -> list[Path]:
    """The partitions of the disk of the root file system; none where the root fills a disk without partitions."""
    device = Path("/").stat().st_dev
    root = (sys / f"{os.major(device)}:{os.minor(device)}").resolve()
    if not (root / "partition").exists():
        return []
    return [Path("/dev") / part.name for part in sorted(root.parent.iterdir()) if (part / "partition").exists()]


def on_disk_of_root(device: int, sys: Path = Path("/sys/dev/block")) -> bool:
    """Whether the partition `device` is on the root file system's disk; True also where the root is on no partition."""
    root, partition = (sys / f"{os.major(one)}:{os.minor(one)}" for one in (Path("/").stat().st_dev, device))
    return not (root / "partition").exists() or root.resolve().parent == partition.resolve().parent
