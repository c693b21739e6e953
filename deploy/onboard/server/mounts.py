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
# So long a start waits before it ends, to be tried again: each start has systemd try again to mount the disk.
WAIT_SECONDS = 60.0
LOOK_SECONDS = 5.0
# What reading says of a disk that was pulled, a server that is gone, and an automount that found neither.
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
    """Returns when something is mounted or unmounted, after so many seconds at the latest: proc_pid_mountinfo(5)."""
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
    """Returns True when the disks of all paths are there and can be read, False when they still cannot after a minute.

    `read` opens what the server needs; whatever else is wrong with that is not told here.
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
    """Why they cannot be read now, although they may be there: a disk is not mounted, or gone. Empty when they can."""
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
    """The place on the way to `path` where a disk is to be mounted, and none is."""
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
    """Type of the file system by the folder where it is; of several at one, the last one shows. Raises OSError."""
    kinds = {}
    for line in MOUNTED.read_text(errors="replace").splitlines():
        place, _, source = line.partition(" - ")
        kinds[unescape_octal(place.split()[4])] = source.split()[0]
    return kinds


def is_expected(point: Path) -> bool:
    """Whether this machine is told to mount something there by itself."""
    units = (folder / mount_unit(point) for folder in UNITS)
    if unit := next(filter(Path.exists, units), None):
        return unit.stat().st_size > 0  # an empty one, as a link to /dev/null is, is masked: nothing is mounted there
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
    """For a line that only a person, or a program that they started, mounts."""
    options = row[3].split(",") if len(row) > 3 else []
    return "noauto" in options and AUTOMOUNT not in options


def unescape_octal(text: str) -> str:
    """As the kernel and fstab write blanks, tabs, line ends and backslashes: in three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def mount_unit(point: Path) -> str:
    """What systemd calls the mount there: systemd.unit(5), "string escaping"."""
    text = str(point).strip("/")
    escaped = "".join("-" if one == "/" else one if is_plain(one) else as_bytes(one) for one in text)
    return f"{escaped.replace('.', as_bytes('.'), 1) if text.startswith('.') else escaped or '-'}.mount"


def is_plain(character: str) -> bool:
    """True for what a unit's name may hold."""
    return character.isascii() and (character.isalnum() or character in ":_.")


def as_bytes(character: str) -> str:
    """In hexadecimal digits."""
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
