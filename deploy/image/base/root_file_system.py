"""The root file system of a base, edited in a copy by e2fsprogs: no loop device, no kernel.

fuse2fs writes no journal, so that an interrupted run leaves a copy to be thrown away, and nothing else. The programs
see a clock that stands and a fixed seed, because fuse2fs and e2fsck write times and generation numbers: the same inputs
are the same bytes.
"""

import os
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from deploy.controller.interrupts import uninterrupted
from deploy.controller.programs import end_process, program_output
from deploy.debian.controller import Controller
from deploy.debian.tools import Tools
from deploy.debian.workspace import SOURCE_DATE_EPOCH, WITH_US, Workspace
from deploy.errors import BoardllamaError
from deploy.image.base.superblock import Superblock, read_superblock

# A second later than any time that Debian's tools write for us: what was changed here is told by its time.
CLOCK = SOURCE_DATE_EPOCH + 1
SEED = b"boardllama opens a base\n"
OPTIONS = "rw,allow_other,default_permissions"
# Seconds. Opening takes a tenth of one; a large cache is written when it closes.
OPEN_DEADLINE, CLOSE_DEADLINE = 60.0, 900.0


@dataclass(frozen=True)
class RootFileSystem:
    """The ext4 at byte `start` of the file `disk`. `tools` bring e2fsprogs, fuse2fs and libfaketime.

    Only at byte 0 it can get another size: resize2fs cuts the file to that many bytes, wherever the file system begins.
    """

    workspace: Workspace
    tools: Tools
    disk: Path
    start: int = 0

    @property
    def superblock(self) -> Superblock:
        """As it stands on the disk now."""
        return read_superblock(self.disk, self.start)

    @property
    def address(self) -> str:
        """How e2fsprogs name it."""
        return f"{self.disk}?offset={self.start}"

    def dated_command(self, path: str, *words: str) -> list[str]:
        """The command line of a program of the tools for which the clock stands."""
        loader, *rest = self.tools.program_command(path)
        library = f"usr/lib/{Controller.of_this_machine().triplet}/faketime/libfaketimeMT.so.1"
        now = datetime.fromtimestamp(CLOCK, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
        told = [f"FAKETIME={now}", "TZ=UTC", "NO_FAKE_STAT=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]
        return ["env", *told, loader, "--preload", str(self.tools.folder / library), *rest, *words]

    def mend(self, step: str, *options: str) -> None:
        """Replays the journal and mends what e2fsck mends without asking. Raises BoardllamaError for any more."""
        fsck = self.dated_command("usr/sbin/e2fsck", "-f", "-p", *options, self.address)
        # 1: mended; 2 and above: not, or a reboot is wanted.
        self.workspace.run_step(step, ["sh", "-c", '"$@" || [ $? = 1 ]', "e2fsck", *fsck])

    def resize(self, size: int) -> None:
        """Makes it, and its file, `size` bytes large. Raises BoardllamaError."""
        assert self.start == 0, self.start
        words = (str(self.disk), f"{size // 1024}K")
        self.workspace.run_step("resizing the root", self.dated_command("usr/sbin/resize2fs", *words))

    @property
    def least_size(self) -> int:
        """Bytes to which resize2fs makes it smaller at most: by its estimate, a quarter above what is used."""
        said = program_output(*self.dated_command("usr/sbin/resize2fs", "-P", self.address), deadline=OPEN_DEADLINE)
        return int(said.split()[-1]) * self.superblock.block

    def forget_writes(self) -> None:
        """Sets the superblock's count of written KiB to 0: not counted. What fuse2fs adds depends on when it writes.

        Resizing copies the count into the superblock's backups, so it is set as soon as fuse2fs has ended.
        """
        words = ("-w", "-R", "set_super_value kbytes_written 0", self.address)
        self.workspace.run_step("count of writes", self.dated_command("usr/sbin/debugfs", *words))

    def ask_debugfs(self, commands: Iterable[str]) -> bytes:
        """What debugfs says to commands that only read, while nobody has it open. Raises BoardllamaError."""
        words = self.dated_command("usr/sbin/debugfs", "-f", "/dev/stdin", self.address)
        given = "".join(f"{command}\n" for command in commands).encode()
        return program_output(*words, given=given, deadline=CLOSE_DEADLINE, name="debugfs")

    def check_clean(self) -> None:
        """Raises BoardllamaError unless e2fsck finds nothing to mend."""
        fsck = self.dated_command("usr/sbin/e2fsck", "-f", "-n", self.address)
        self.workspace.run_step("check of the root file system", fsck)

    @contextmanager
    def opened(self) -> Iterator[Path]:
        """The folder in which its files are, while the block runs: seen in this mount namespace alone."""
        tree = self.workspace.folder / "tree"
        tree.mkdir()
        with self.serving(tree) as server:
            yield tree
            close_root(tree, server)
        self.forget_writes()
        tree.rmdir()

    @contextmanager
    def serving(self, tree: Path) -> Iterator["subprocess.Popen[bytes]"]:
        """fuse2fs, which ends with this process, and is ended with the block."""
        words = (str(self.disk), str(tree), "-f", "-s", "-o", f"{OPTIONS},offset={self.start}")
        command = [*WITH_US, *self.dated_command("usr/bin/fuse2fs", *words)]
        log = self.workspace.folder.parent / "build.log"
        child = None
        try:
            with log.open("ab") as output, fixed_seed(self.workspace.folder / "seed"):
                with uninterrupted():
                    child = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
                await_root(tree, child, log)
            yield child
        finally:
            with uninterrupted():
                if child:
                    end_process(child)
                subprocess.run(["umount", "--lazy", "--quiet", str(tree)], check=False, stderr=subprocess.DEVNULL)


@contextmanager
def fixed_seed(path: Path) -> Iterator[None]:
    """Who reads /dev/urandom in this mount namespace reads SEED: fuse2fs takes the generation of its inodes there."""
    path.write_bytes(SEED)
    program_output("mount", "--bind", str(path), "/dev/urandom", package="mount")
    try:
        yield
    finally:
        program_output("umount", "/dev/urandom", package="mount")
        path.unlink()


def await_root(tree: Path, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Returns when the file system answers. Raises BoardllamaError when fuse2fs ends, or takes too long."""
    until = time.monotonic() + OPEN_DEADLINE
    while not os.path.ismount(tree):
        if server.poll() is not None or time.monotonic() > until:
            raise BoardllamaError(f"fuse2fs does not open the root file system of the base; {log} says why")
        time.sleep(0.02)


def close_root(tree: Path, server: "subprocess.Popen[bytes]") -> None:
    """Unmounts it, and waits for fuse2fs, which writes what it still holds. Raises BoardllamaError when that fails."""
    program_output("umount", str(tree), package="mount", deadline=CLOSE_DEADLINE)
    try:
        status = server.wait(timeout=CLOSE_DEADLINE)
    except subprocess.TimeoutExpired:
        raise BoardllamaError(f"fuse2fs did not write its cache within {CLOSE_DEADLINE:.0f} s: run again") from None
    if status != 0:
        raise BoardllamaError(
            f"fuse2fs ended with status {status}, which leaves a root file system nobody knows: run again"
        )
