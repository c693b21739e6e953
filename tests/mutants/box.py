"""A copy of the repository in which a mutant can do no harm: it sees the machine read-only, and no other process."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.paths import REPO

NONE: Mapping[str, str] = {}


class Box:
    """`folder` is /tmp inside of it, and the copy is /tmp/repo."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.repo = folder, folder / "repo"
        self.clock = 1
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=REPO, capture_output=True, text=True, check=True).stdout.split("\0")
        self.names = sorted(name for name in names if name and os.path.lexists(REPO / name))
        for name in self.names:
            (self.repo / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPO / name, self.repo / name, follow_symlinks=False)
        (self.repo / ".venv").symlink_to((REPO / ".venv").resolve())

    def read(self, path: str) -> str:
        """The text of a file; of one that is no text, as much as can be read."""
        return (self.repo / path).read_text(errors="replace") if (self.repo / path).is_file() else ""

    def write(self, path: str, text: str) -> None:
        """A time of its own for each text: Python takes a compiled file of the same size and second for its source."""
        self.clock += 2
        (self.repo / path).write_text(text)
        os.utime(self.repo / path, (self.clock, self.clock))

    def run(self, words: list[str], variables: Mapping[str, str] = NONE) -> int:
        """Runs Python with these words. Returns its status. Whatever it started ends with it."""
        apart = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--die-with-parent"]
        rights = ["--cap-add", "ALL"] if os.geteuid() == 0 else []
        mounts = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/run"]
        mounts += ["--bind", str(self.folder), "/tmp", "--chdir", "/tmp/repo"]
        # A fault may fill the memory before it is seen to hang.
        least = ["prlimit", "--as=6000000000"]
        command = ["bwrap", *mounts, *apart, *rights, "--", *least, sys.executable, *words]
        # Compiled files are kept: only the module with the fault is compiled again.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with (self.folder / "said").open("w") as said:
            done = subprocess.run(
                command,
                env={**environment, **variables},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                check=False,
            )
        return done.returncode

    def said(self) -> str:
        """What the last program printed."""
        return (self.folder / "said").read_text(errors="replace")
