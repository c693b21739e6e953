"""The machine that makes a root tree: what Debian calls it, and what must be installed on it."""

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import BoardllamaError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class Controller:
    """Debian's names for this machine. `loader`: where a tree of its architecture has the loader of programs."""

    architecture: str
    triplet: str
    loader: str

    @staticmethod
    def of_this_machine() -> "Controller":
        """Raises BoardllamaError on a machine that is neither x86-64 nor arm64."""
        table = {
            "x86_64": Controller("amd64", "x86_64-linux-gnu", "usr/lib64/ld-linux-x86-64.so.2"),
            "aarch64": Controller("arm64", "aarch64-linux-gnu", "usr/lib/ld-linux-aarch64.so.1"),
        }
        try:
            return table[platform.machine()]
        except KeyError:
            raise BoardllamaError(f"this controller is {platform.machine()}: use x86_64 or aarch64") from None

    @property
    def needs_emulation(self) -> bool:
        """Whether arm64 programs run here only under emulation, so that native stand-ins pay."""
        return self.architecture != "arm64"

    def program_command(self, tree: Path, path: str) -> list[str]:
        """The command line that runs a program of an unpacked tree with that tree's own libraries."""
        return [str(tree / self.loader), "--library-path", str(tree / "usr/lib" / self.triplet), str(tree / path)]


def check_controller() -> None:
    """Raises BoardllamaError with the one command that installs what is missing."""
    needed = {"mmdebstrap": "mmdebstrap", "dpkg-divert": "dpkg", "tar": "tar"}
    if os.geteuid() != 0:
        needed["newuidmap"] = "uidmap"
    missing = [package for program, package in needed.items() if not shutil.which(program)]
    if not KEYRING.exists():
        missing.append("debian-archive-keyring")
    if missing:
        raise BoardllamaError(f"a root tree needs packages: run sudo apt-get install {' '.join(missing)}")
