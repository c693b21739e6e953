"""An image that was made, started on machines of many kinds."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import zstandard

from deploy.debian.tools import SUITE, Tools, ensure_tools
from deploy.debian.workspace import Workspace
from deploy.image.board_machine import BoardMachine
from deploy.image.boards import MIB, DebianBoard
from deploy.image.boot_test import READY_DEADLINE, Trial, booted_board, prepare_card
from deploy.image.disk import DiskLayout
from deploy.image.outputs import Outputs
from deploy.vm import lifecycle, power
from deploy.vm.readiness import check_qemu


@dataclass(frozen=True)
class TriedImage:
    """The disk of an image, which is only read."""

    disk: Path
    layout: DiskLayout

    def start_on(self, trial: Trial) -> None:
        """The first boot, which must go well."""
        with trial_workspace() as (workspace, tools), booted_board(workspace, tools, self.disk, self.layout, trial):
            pass

    def console_without_root(self) -> str:
        """What the console says of a board whose card has no root partition, up to the restart of the board."""
        with trial_workspace() as (workspace, tools):
            machine = prepare_card(workspace, tools, self.disk, self.layout, Trial())
            sfdisk = [*tools.program_command("usr/sbin/sfdisk"), "--quiet", "--delete", str(machine.card), "3"]
            subprocess.run(sfdisk, check=True, capture_output=True)
            lifecycle.start_qemu(machine)
            try:
                return await_console(machine, "Rebooting automatically")
            finally:
                power.cut_power(machine)


@contextmanager
def trial_workspace() -> Iterator[tuple[Workspace, Tools]]:
    """A folder for one machine."""
    with TemporaryDirectory(prefix="boardllama-", dir="/var/tmp") as folder:
        (Path(folder) / "work").mkdir()
        yield Workspace(Path(folder) / "work", SUITE, "trial"), ensure_tools()


def await_console(machine: BoardMachine, words: str) -> str:
    """The whole log of the console, as soon as the words are in it."""
    last = time.monotonic() + READY_DEADLINE
    while words not in (said := console_text(machine)):
        check_qemu(machine)
        assert time.monotonic() < last, f"the console never said {words!r}: {said[-1000:]}"
        time.sleep(0.2)
    return said


def console_text(machine: BoardMachine) -> str:
    return machine.console.read_text(errors="replace") if machine.console.exists() else ""


def unpack_image(made: Outputs, board: DebianBoard, folder: Path) -> TriedImage:
    """The image that was made, decompressed; holes of the disk are holes of the file."""
    disk = folder / "disk.img"
    unpacked = zstandard.ZstdDecompressor()
    with made.image.open("rb") as packed, unpacked.stream_reader(packed) as stream, disk.open("wb") as file:
        while piece := stream.read(MIB):
            file.seek(len(piece), 1) if piece == bytes(len(piece)) else file.write(piece)
        file.truncate(file.tell())
    least = DiskLayout(board, 0)
    return TriedImage(disk, DiskLayout(board, disk.stat().st_size - least.disk_size))
