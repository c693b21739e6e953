"""The first boot of an image, on a copy that is as large as a card, judged by the suite that judges every board."""

import shlex
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy import cpu
from deploy.controller.programs import program_output
from deploy.controller.progress import Progress, say_line
from deploy.debian.tools import Tools
from deploy.debian.workspace import Workspace
from deploy.errors import BoardllamaError
from deploy.image import content
from deploy.image.board_machine import BoardMachine, with_firmware
from deploy.image.boards import DebianBoard
from deploy.image.disk import DiskLayout
from deploy.image.unpacked_tree import fleets_data
from deploy.models.smoke import smoke_model
from deploy.onboard.identity import boardllama_txt
from deploy.onboard.json_parts import parse_json
from deploy.onboard.server.health import Health, Unhealthy, wait_for_ready
from deploy.onboard.service import OLLAMA
from deploy.paths import REPO
from deploy.vm import lifecycle, power
from deploy.vm.guest import run_in_guest
from deploy.vm.machine import Hardware
from deploy.vm.ports import free_ports
from deploy.vm.readiness import last_console_lines, wait_for_ssh, wait_for_systemd

# Larger than any image without a model, and a power of two, which QEMU wants of an SD card.
CARD_BYTES = 4 * 2**30
# Seconds without a sign of life. An emulated Raspberry Pi 3 takes two minutes to SSH on a quiet controller.
READY_DEADLINE = 600.0
# All in seconds.
HEALTH_DEADLINE = 900
COPY_DEADLINE = 600.0
OFF_DEADLINE = 180.0
NEW_LOGIN_DEADLINE = 180.0


@dataclass(frozen=True)
class Trial:
    """The machine on which an image is tried. `attachment`: a name of ATTACHMENTS. `memory`: MiB; None: the board's."""

    attachment: str = "nvme"
    cores: int = 2
    memory: int | None = None


HOSTNAME = "first-boot-test"
FOLDER = "boot-test"


def prove_first_boot(workspace: Workspace, tools: Tools, disk: Path, layout: DiskLayout) -> None:
    """Boots a copy of the image as a board does for the first time, and has the board suite judge the board.

    The image itself is only read. Raises BoardllamaError with the reason when anything fails.
    """
    with booted_board(workspace, tools, disk, layout, Trial()) as machine:
        run_board_suite(workspace, machine, layout.board)
        power_off_board(machine)
        content.check_root_file_system(workspace, tools, "check of the card", machine.card, layout)


@contextmanager
def booted_board(
    workspace: Workspace, tools: Tools, disk: Path, layout: DiskLayout, trial: Trial
) -> Iterator[BoardMachine]:
    """A board whose first boot went well, and whose server is healthy; it is gone at the end, its card stays.

    Raises BoardllamaError with the reason why it is not, after the console's last lines.
    """
    machine = prepare_card(workspace, tools, disk, layout, trial)
    try:
        with workspace.doing("first boot"):
            boot_board(machine)
        yield machine
    except BoardllamaError:
        say_line(last_console_lines(machine))
        raise
    finally:
        power.cut_power(machine)


def boot_board(machine: BoardMachine) -> None:
    """Starts the board, and returns when it serves and lets people in. Raises BoardllamaError."""
    progress = Progress(f"vm {machine.name}")
    lifecycle.start_qemu(machine)
    wait_for_ssh(machine, progress, READY_DEADLINE)
    progress.tell_timed("SSH answers")
    bring_model(machine)
    wait_for_health(machine)
    progress.tell_timed("the server is healthy")
    wait_for_systemd(machine, progress, READY_DEADLINE)
    check_first_boot(machine)
    wait_for_new_login(machine)


def prepare_card(workspace: Workspace, tools: Tools, disk: Path, layout: DiskLayout, trial: Trial) -> BoardMachine:
    """Makes the card, with a technician's boardllama.txt on it, and what QEMU needs beside it."""
    board, folder = layout.board, workspace.folder / FOLDER
    folder.mkdir()
    hardware = Hardware(cpu.find_cpu(board.cpu).qemu, trial.cores, trial.memory or board.memory_mib)
    ssh_port, api_port = free_ports(2)
    machine = BoardMachine(folder, ssh_port, api_port, Path(), "", hardware, board.emulator, "", trial.attachment)
    lifecycle.make_key_pair(machine)
    machine.write_ssh_config()
    program_output("cp", "--sparse=always", str(disk), str(machine.card), deadline=COPY_DEADLINE)
    with machine.card.open("r+b") as card:
        card.truncate(max(CARD_BYTES, 1 << (layout.disk_size - 1).bit_length()))
    public_key = machine.ssh_key.with_suffix(".pub").read_text().strip()
    told = folder / boardllama_txt.FILE
    told.write_text(boardllama_txt.Identity((("hostname", HOSTNAME), ("ssh_key", public_key))).render())
    where = f"{machine.card}@@{layout.identity_offset}"
    content.image_tool_output(tools, "usr/bin/mcopy", "-o", "-i", where, str(told), f"::{boardllama_txt.FILE}")
    return with_firmware(tools, machine, layout)


def end_boot_machine(work: Path) -> None:
    """Ends the machine of that workspace, which a killed run left running."""
    power.cut_power(BoardMachine(work / FOLDER, 0, 0, Path(), "", Hardware()))


def check_first_boot(machine: BoardMachine) -> None:
    """Raises BoardllamaError with every answer to QUESTIONS that is wrong."""
    wrong = [
        why
        for question, why in QUESTIONS.items()
        if run_in_guest(machine, f"{question} >&2 && echo yes || true") != "yes\n"
    ]
    if wrong:
        raise BoardllamaError(f"the first boot went wrong: {'; '.join(wrong)}")


# Shell command that succeeds where all is well: what is wrong otherwise.
QUESTIONS = {
    f"test $(hostname) = {HOSTNAME}": "the host name is not the one of boardllama.txt",
    f"test $(findmnt -bno SIZE /) -gt {CARD_BYTES // 10 * 8}": "the root file system has not grown to the card",
    "test -s /etc/machine-id": "there is no machine id",
    "test -s /etc/ssh/ssh_host_ed25519_key": "there is no SSH host key",
    "sshd -T | grep -qx 'passwordauthentication no'": "SSH takes passwords",
    "! cut -d: -f2 /etc/shadow | grep -qv '^[!*]'": "somebody has a password",
    "mountpoint -q /boot/firmware": "the boot partition is not mounted",
}


def bring_model(machine: BoardMachine) -> None:
    """Brings a small model to the board of an image without a model, in the way of an operator."""
    if not parse_json(run_in_guest(machine, "boardllama status"))["waiting"]:
        return
    model = smoke_model()
    place = shlex.quote(str(OLLAMA.models / model.name))
    command = f"sudo -n sh -ec {shlex.quote(f'cat > {place}; chmod 644 {place}; systemctl restart {OLLAMA.unit}')}"
    line = ("ssh", "-F", str(machine.ssh_config), machine.name, command)
    program_output(*line, given=model.read_bytes(), deadline=HEALTH_DEADLINE, name="bringing a model")


def wait_for_health(machine: BoardMachine) -> None:
    """Returns when the server is healthy. Raises BoardllamaError with the reason why it is not."""
    try:
        wait_for_ready(lambda: board_health(machine), HEALTH_DEADLINE, Progress(f"vm {machine.name}").tell)
    except Unhealthy as error:
        raise BoardllamaError(f"the server is not healthy after the first boot: {error}") from None


def board_health(machine: BoardMachine) -> Health:
    """The server's health, as the board tells it. Raises BoardllamaError with the board's words when it tells none."""
    said = run_in_guest(machine, "boardllama health --json 2>&1 || true").strip()
    try:
        return Health.from_json(said.splitlines()[-1])
    except (ValueError, LookupError, TypeError):
        raise BoardllamaError(f"`boardllama health` says: {said[-300:] or 'nothing'}") from None


def power_off_board(machine: BoardMachine) -> None:
    """Returns when the board has powered itself off. Raises BoardllamaError when it does not."""
    with power.qemu_process(machine) as qemu:
        run_in_guest(machine, "systemctl --no-block poweroff")
        if not power.wait_for_end(qemu, Progress(f"vm {machine.name}"), OFF_DEADLINE):
            raise BoardllamaError(f"the board did not power off within {OFF_DEADLINE:.0f} s of being told to")
    power.close_shared_connection(machine)


def wait_for_new_login(machine: BoardMachine) -> None:
    """Returns when a new connection may log in. Raises BoardllamaError.

    While SSH was waited for, many connections were opened that never logged in, and QEMU delivers all of them when the
    board is up. OpenSSH since 9.8 then turns their address away for some 20 s (PerSourcePenalties of sshd_config(5)),
    and an image has OpenSSH's defaults.
    """
    progress = Progress(f"vm {machine.name}")
    while True:
        try:
            run_in_guest(machine, "true", shared=False)
            return
        except BoardllamaError:
            if progress.seconds > NEW_LOGIN_DEADLINE:
                raise
        progress.still("waiting for a new login to be let in")
        time.sleep(1)


def run_board_suite(workspace: Workspace, machine: BoardMachine, board: DebianBoard) -> None:
    """Has tests/board judge the machine. Raises BoardllamaError with the names of the tests that failed."""
    inventory = write_inventory(machine, board)
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    suite = [*pytest, "tests/board/test_board.py", f"--inventory={inventory}"]
    workspace.run_step("board suite", suite, REPO, {"TMPDIR": "/tmp"})


def write_inventory(machine: BoardMachine, board: DebianBoard) -> Path:
    """Writes an inventory with the machine as a board of its kind, for which the group data of its image hold."""
    data = {**machine.host_data, "_sudo": True}
    inventory = machine.folder / "inventory.py"
    inventory.write_text(f"targets = [({machine.name!r}, {data!r})]\n{board.name} = targets\n")
    join_group_data((REPO / "inventory" / "group_data", fleets_data()), machine.folder / "group_data")
    return inventory


def join_group_data(folders: Iterable[Path], joined: Path) -> None:
    """Writes a folder of group data in which what the later of the folders say wins."""
    joined.mkdir()
    for folder in folders:
        for path in folder.glob("*.py"):
            with (joined / path.name).open("a") as file:
                file.write(f"{path.read_text()}\n")
