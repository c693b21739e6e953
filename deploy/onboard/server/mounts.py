"""Disks that are mounted late, or never, or that are gone: whether what lies on one can be read now.

By what this machine is told to mount, in fstab and in systemd's own units, and by what the kernel has mounted. The way
to a model is followed through its links: its folder, or the store, may lead to another disk.
"""

import errno
import os
import re
import select
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from ..service import Service
from .config import ConfigError

FSTAB = Path("/etc/fstab")
UNITS = tuple(Path(folder) for folder in ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"))
MOUNTED = Path("/proc/self/mountinfo")
AUTOMOUNT = "x-systemd.automount"
# The file system of an automount that has found nothing to mount.
AUTOMOUNTER = "autofs"
# A start waits so long, then ends with EX_TEMPFAIL: at the next start systemd tries again to mount the disk.
WAIT_SECONDS = 60.0
LOOK_SECONDS = 5.0
# Errors of reading from a disk that was pulled, from a server that is gone, and below an automount that found neither.
GONE = {
    errno.EIO,
    errno.ENXIO,
    errno.ENODEV,
    errno.ENOMEDIUM,
    errno.ESTALE,
    errno.ENOTCONN,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.EREMOTEIO,
    errno.ESHUTDOWN,
}


def until_mounted(seconds: float) -> None:
    """Returns when something is mounted or unmounted, else after `seconds`: proc_pid_mountinfo(5)."""
    with MOUNTED.open() as table:
        changes = select.poll()
        changes.register(table, select.POLLPRI)
        changes.poll(seconds * 1000)


def await_disk(
    service: Service,
    paths: Callable[[], Iterable[Path]],
    read: Callable[[], object],
    sleep: Callable[[float], None] = until_mounted,
) -> bool:
    """True when the disks of all paths are there and can be read, False when they still cannot after WAIT_SECONDS.

    `read` opens what the server needs. A ConfigError of it counts as read: the start itself will tell that.
    """
    end = time.monotonic() + WAIT_SECONDS
    while reason := out_of_reach(paths, read):
        if not service.awaited.exists():
            print(f"{service.name}: {reason}", file=sys.stderr)
        if time.monotonic() > end or not service.runtime.is_dir():
            return False
        service.awaited.write_text(reason)
        sleep(LOOK_SECONDS)
    service.awaited.unlink(missing_ok=True)
    return True


def out_of_reach(paths: Callable[[], Iterable[Path]], read: Callable[[], object]) -> str:
    """Why the paths cannot be read now although they may exist: a disk is not mounted, or gone. "" without a reason."""
    try:
        for path in paths():
            if point := missing_mount(path):
                return f"waiting for the disk of {path}: nothing is mounted on {point}"
        read()
    except ConfigError:
        return ""
    except OSError as error:
        if error.errno in GONE:
            return f"waiting for the disk of the model: {error.filename or ''}: {error.strerror}"
    return ""


def missing_mount(path: Path) -> Path | None:
    """The folder on the way to `path` at which a disk is expected and none is mounted; None without one."""
    real = Path(os.path.realpath(path))
    with suppress(OSError):
        os.scandir(real).close()  # has an automount look for its disk
    kinds = mounted_types()
    # fstab may name a place by links, too.
    told = {os.path.realpath(point) for point in (path, *path.parents) if is_expected(point)}
    for point in (real, *real.parents):
        if str(point) in kinds:  # what is mounted above it does not matter
            return point if kinds[str(point)] == AUTOMOUNTER else None
        if str(point) in told or is_expected(point):
            return point
    return None


def mounted_types() -> dict[str, str]:
    """Type of the file system by the folder where it is mounted; of several at a folder, the last. Raises OSError."""
    kinds = {}
    for line in MOUNTED.read_text(errors="replace").splitlines():
        place, _, source = line.partition(" - ")
        kinds[unescape_octal(place.split()[4])] = source.split()[0]
    return kinds


def is_expected(point: Path) -> bool:
    """Whether systemd or fstab mounts something at the folder without being asked."""
    units = (folder / mount_unit(point) for folder in UNITS)
    if unit := next(filter(Path.exists, units), None):
        return unit.stat().st_size > 0  # an empty unit, such as a link to /dev/null, is masked
    return str(point) in fstab_folders()


def fstab_folders() -> set[str]:
    """Folders at which fstab has something mounted without being asked."""
    try:
        rows = [line.split() for line in FSTAB.read_text(errors="replace").splitlines()]
    except OSError:
        return set()
    wanted = [row for row in rows if len(row) >= 3 and not row[0].startswith("#")]
    return {unescape_octal(row[1]).rstrip("/") or "/" for row in wanted if not is_left_to_others(row)}


def is_left_to_others(row: list[str]) -> bool:
    """Whether only a person, or a program that a person started, mounts the line of fstab."""
    options = row[3].split(",") if len(row) > 3 else []
    return "noauto" in options and AUTOMOUNT not in options


def unescape_octal(text: str) -> str:
    """A field of fstab or mountinfo as text: blanks, tabs, line ends and backslashes are three octal digits in it."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def mount_unit(point: Path) -> str:
    """systemd's name of the mount at the folder: systemd.unit(5), "string escaping"."""
    text = str(point).strip("/")
    escaped = "".join("-" if one == "/" else one if is_plain(one) else as_bytes(one) for one in text)
    return f"{escaped.replace('.', as_bytes('.'), 1) if text.startswith('.') else escaped or '-'}.mount"


def is_plain(character: str) -> bool:
    """Whether systemd leaves the character as it is in a unit's name."""
    return character.isascii() and (character.isalnum() or character in ":_.")


def as_bytes(character: str) -> str:
    """The character's bytes as systemd escapes them, in two hexadecimal digits each."""
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
