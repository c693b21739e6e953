"""A virtual board: started, deployed to twice, judged by the board suite, and gone again."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.controller.files import folder_lock
from deploy.controller.product import environment, module_words, pyinfra_words, run_shown
from deploy.controller.progress import say_line
from deploy.errors import BoardllamaError
from deploy.fleet.report_row import Row
from deploy.hosts.run_record import RunRecord
from deploy.onboard.json_parts import parse_json
from deploy.paths import REPO, machines_dir
from deploy.rehearsal.kinds import Rehearsal
from deploy.vm.guest import run_in_guest
from deploy.vm.lifecycle import start_machine, stop_machine
from deploy.vm.machine import Machine

NAME = "rehearsal"
NO_CHANGE = "no change"
# The mounted file system fills its disk: EXT4_IOC_RESIZE_FS (the kernel's Documentation/admin-guide/ext4.rst), in
# blocks of 4 KiB.
GROW = """import fcntl, os, struct
blocks = os.lseek(os.open('/dev/nvme0n1', os.O_RDONLY), 0, os.SEEK_END) // 4096
fcntl.ioctl(os.open('/', os.O_RDONLY), 0x40086610, struct.pack('Q', blocks))"""


def hold_rehearsal(rehearsal: Rehearsal) -> Row:
    """Tries one rehearsal on a virtual board of its own. Returns its line of the table."""
    began = time.monotonic()
    hardware = rehearsal.hardware
    kind = rehearsal.board.title if rehearsal.board else "a board of no known kind, taken for the VM's"
    say_line(
        f"rehearse {', '.join(rehearsal.hosts)}: {kind}; {hardware.cpu}, {hardware.cores} cores, {hardware.memory} MiB"
    )
    try:
        # What the machine's own lines say is no part of the table.
        with redirect_stdout(sys.stderr), virtual_machine(rehearsal) as machine, TemporaryDirectory() as folder:
            row = judge_board(rehearsal, write_rehearsal(rehearsal, machine, Path(folder)), Path(folder))
    except BoardllamaError as error:
        row = Row(rehearsal.name, RunRecord(), "failed", str(error), False)
    row.record.seconds = time.monotonic() - began
    return row


@contextmanager
def virtual_machine(rehearsal: Rehearsal) -> Iterator[Machine]:
    """A machine with the rehearsal's hardware and an empty disk, gone at the end; another run waits for its turn.

    Raises BoardllamaError.
    """
    (turn := machines_dir() / f"{NAME}.turn").mkdir(parents=True, exist_ok=True)
    with folder_lock(turn, "rehearse"):
        stop_machine(NAME, wipe=True)  # what a killed run has left
        try:
            machine = start_machine(NAME, rehearsal.hardware)
            run_in_guest(machine, f'python3 -c "{GROW}"')
            yield machine
        finally:
            stop_machine(NAME, wipe=True)


def write_rehearsal(rehearsal: Rehearsal, machine: Machine, folder: Path) -> Path:
    """Writes an inventory in which the machine is told what the rehearsal's hosts are."""
    inventory = folder / "rehearsal.py"
    inventory.touch(0o600)  # settings may hold a key
    lines = [
        "builders = ['@local']",
        f"targets = [({rehearsal.name!r}, { ({**rehearsal.data, **machine.host_data})!r})]",
    ]
    inventory.write_text("\n".join([*lines, f"{rehearsal.board.name} = targets" if rehearsal.board else "", ""]))
    return inventory


def judge_board(rehearsal: Rehearsal, inventory: Path, folder: Path) -> Row:
    """Deploys twice, and has the board suite judge. Returns the line of the table, with why it is not good."""
    row = deploy_row(rehearsal, inventory, folder)
    if not row.good:
        return row
    again = deploy_row(rehearsal, inventory, folder)
    if not again.good or again.verdict != NO_CHANGE:
        why = f"a second deploy should change nothing: {again.verdict} {again.reason}".rstrip()
        return replace(row, verdict="not converged", reason=why, good=False)
    say_line(f"rehearse {rehearsal.name}: the board suite")
    suite = ["-q", "-p", "no:cacheprovider", "tests/board/test_board.py", f"--inventory={inventory}"]
    if subprocess.run(
        module_words("pytest", *suite), cwd=REPO, env=environment(), stdout=sys.stderr, check=False
    ).returncode:
        return replace(row, verdict="judged bad", reason="the board suite failed: its tests stand above", good=False)
    return row


def deploy_row(rehearsal: Rehearsal, inventory: Path, folder: Path) -> Row:
    """Deploys once. Returns what the run's report says of the board."""
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    words = pyinfra_words(inventory, options=["--data", f"report_json={report}"])
    _, last = run_shown(words)
    if not report.exists():
        return Row(rehearsal.name, RunRecord(), "refused", last, False)
    (told,) = parse_json(report.read_text())["hosts"]
    return Row.from_json(told)
