"""Lets the controller's kernel start arm64 programs through QEMU's user emulation (binfmt_misc).

`python -m deploy.debian.binfmt` registers the emulator by hand, as root. It prints nothing, except what went wrong.
"""

import os
import platform
import shutil
import sys
from pathlib import Path

from deploy.controller.programs import program_output
from deploy.errors import BoardllamaError

MOUNT_POINT = Path("/proc/sys/fs/binfmt_misc")
CONFIGURATION = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
BY_HAND = "run once as root: python3 -m deploy.debian.binfmt"


def ensure_arm64_runs() -> None:
    """Registers qemu-aarch64 unless it is registered. Raises BoardllamaError with what to run where that takes root."""
    if platform.machine() == "aarch64" or is_registered(MOUNT_POINT):
        return
    if os.geteuid() != 0:
        raise BoardllamaError(f"this kernel does not start arm64 programs (binfmt_misc has no qemu-aarch64): {BY_HAND}")
    if not (MOUNT_POINT / "register").exists():
        program_output("mount", "-t", "binfmt_misc", "binfmt_misc", str(MOUNT_POINT))
    if not is_registered(MOUNT_POINT):
        register_emulator()
    if not is_registered(MOUNT_POINT):
        raise BoardllamaError("qemu-aarch64 could not be registered with binfmt_misc: apt-get install qemu-user-static")


def is_registered(mount_point: Path) -> bool:
    """Whether arm64 programs start, inside a root tree too.

    Flag F says that the kernel holds the emulator open: no copy of the emulator has to lie in the tree.
    """
    try:
        lines = (mount_point / "qemu-aarch64").read_text().splitlines()
    except OSError:
        return False
    return "enabled" in lines and any(line.startswith("flags:") and "F" in line for line in lines)


def register_emulator() -> None:
    """Gives the kernel the distribution's configuration, or has binfmt-support do so. Raises BoardllamaError."""
    if CONFIGURATION.is_file():
        (MOUNT_POINT / "register").write_text(CONFIGURATION.read_text())
    elif shutil.which("update-binfmts"):
        program_output("update-binfmts", "--enable", "qemu-aarch64")
    else:
        raise BoardllamaError(f"{CONFIGURATION} is missing: apt-get install qemu-user-static")


if __name__ == "__main__":
    try:
        ensure_arm64_runs()
    except BoardllamaError as error:
        sys.exit(str(error))
