"""What a base's root file system holds: read from its files, as they lie there, before anything is changed."""

import errno
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deploy.errors import BoardllamaError
from deploy.image.base.partitions import BaseDisk, list_fat

OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
STATUS = "var/lib/dpkg/status"
# Each is needed on the target: where it is missing, the release could not run there.
PROGRAMS = {
    "usr/lib/systemd/systemd": "systemd, which starts the service",
    "usr/bin/python3": "Python 3.10 or newer (Debian's package python3), which runs what is on the board",
}
LINKS = 40  # more in one path are a loop, as for the kernel
ARM64 = (2, 183)  # the class and the machine of an ELF file, by elf.h
MACHINES = {(1, 40): "32-bit Arm", (1, 3): "32-bit x86", (2, 62): "x86-64", (2, 243): "RISC-V"}


@dataclass(frozen=True)
class VendorSystem:
    """`os_release`: its names and values. `device_trees`: file names of all that it has, such as rk3588-rock-5b.dtb."""

    os_release: dict[str, str]
    device_trees: frozenset[str]

    @property
    def title(self) -> str:
        """As it names itself."""
        return self.os_release.get("PRETTY_NAME") or self.os_release.get("ID", "unknown")


def read_vendor_system(tree: Path, paths: Iterable[str], disk: BaseDisk, name: str) -> VendorSystem:
    """What the base holds, by its tree with these paths and its FAT partitions.

    Raises BoardllamaError for a system that is not for us.
    """
    check_arm64_programs(tree, name)
    missing = [why for program, why in PROGRAMS.items() if not inside(tree, program).exists()]
    if missing or not inside(tree, STATUS).is_file():
        raise BoardllamaError(
            f"{name} lacks {'; '.join(missing) or 'the list of packages that Debian and its kin have (dpkg)'}: "
            "take an image of Debian, Ubuntu, Raspberry Pi OS or Armbian that has it"
        )
    found = next((inside(tree, path) for path in OS_RELEASE if inside(tree, path).is_file()), None)
    trees = {PurePosixPath(path).name for path in (*paths, *names_on_fats(disk)) if path.endswith(".dtb")}
    return VendorSystem(os_release_values(found.read_text(errors="replace")) if found else {}, frozenset(trees))


def inside(tree: Path, path: str) -> Path:
    """Where a path of the tree lies here: links lead where they lead on the board, and never out of the tree."""
    place, rest, links = tree, list(reversed(PurePosixPath(path).parts)), 0
    while rest:
        part = rest.pop()
        place = (place.parent if place != tree else tree) if part == ".." else tree if part == "/" else place / part
        if place.is_symlink():
            links += 1
            if links > LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            rest += reversed(place.readlink().parts)
            place = place.parent
    return place


def check_arm64_programs(tree: Path, name: str) -> None:
    """Raises BoardllamaError unless the programs of the tree are for arm64."""
    shell = inside(tree, "bin/sh")
    if not shell.is_file():
        raise BoardllamaError(
            f"{name}: its last partition holds no Linux system (/bin/sh is missing): take another image"
        )
    with shell.open("rb") as file:
        start = file.read(20).ljust(20, b"\0")
    kind = (start[4], struct.unpack_from("<H", start, 18)[0]) if start.startswith(b"\x7fELF") else (0, 0)
    if kind != ARM64:
        raise BoardllamaError(
            f"{name} is a system for {MACHINES.get(kind, 'an unknown processor')}: BASE needs one for 64-bit Arm "
            "(arm64, aarch64); vendors often offer both"
        )


def os_release_values(text: str) -> dict[str, str]:
    """The names and values of an os-release file, as os-release(5) describes it."""
    rows = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, value in rows}


def names_on_fats(disk: BaseDisk) -> Iterator[str]:
    """The paths of all files of the FAT partitions."""
    for partition in disk.fats:
        yield from list_fat(disk.path, partition.start, "-/", "-b").output.decode(errors="replace").splitlines()
