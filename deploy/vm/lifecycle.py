"""What starts, restarts and stops the QEMU arm64 machine, and makes its files in .vm/<name>."""

import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from deploy.controller.files import folder_lock
from deploy.controller.interrupts import uninterrupted
from deploy.controller.patience import Patience
from deploy.controller.programs import program_output
from deploy.controller.progress import Progress
from deploy.errors import BoardllamaError
from deploy.vm import power, root_tree
from deploy.vm.guest import boot_id, run_in_guest
from deploy.vm.life_signs import processor_seconds
from deploy.vm.machine import Hardware, Machine, machine_folder, with_free_ports
from deploy.vm.ports import free_ports
from deploy.vm.readiness import wait_until_ready

PACKAGES = {"qemu-system-aarch64": "qemu-system-arm", "qemu-img": "qemu-utils", "ssh": "openssh-client"}
# Seconds without work: QEMU loads a kernel of 30 MB and sets up its devices before it writes its pid file.
START_DEADLINE = 20.0
# Bytes: room for the writes of hours. The file is sparse.
WRITE_LOG_BYTES = 1 << 40


def start_machine(name: str | None = None, hardware: Hardware | None = None) -> Machine:
    """Starts the machine and waits until systemd says that the guest runs. A running machine is left as it is.

    Without `hardware` the machine is as at its last start. Raises BoardllamaError.
    """
    folder = machine_folder(name)
    check_vm_programs()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with folder_lock(folder, f"vm {folder.name}"):
        machine = Machine.read(folder)
        if machine and machine.process_id():
            if hardware not in (None, machine.hardware):
                raise BoardllamaError(f"vm {machine.name} is up with {machine.hardware}: run down first, then up")
            wait_until_ready(machine)
            Progress(f"vm {machine.name}").tell("is up already")
            return machine
        machine = prepare_files(folder, machine, hardware)
        started = time.monotonic()
        start_qemu(machine)
        wait_until_ready(machine, started)
    return machine


def check_vm_programs() -> None:
    """Raises BoardllamaError with the one command that installs what is missing."""
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if missing:
        raise BoardllamaError(f"the VM needs packages: run sudo apt-get install {' '.join(missing)}")


def prepare_files(folder: Path, before: Machine | None, hardware: Hardware | None) -> Machine:
    """Makes all that QEMU needs: root, disk, key, ports. Saves it, so that the next start is like this one."""
    root = root_tree.ensure_vm_root()
    ssh_port, api_port = free_ports(2)
    machine = before or Machine(folder, ssh_port, api_port, root.kernel, root.identity)
    machine = replace(machine, hardware=hardware or machine.hardware)
    make_key_pair(machine)
    if before is None or before.root != root.identity or not machine.disk.exists():
        make_disk(machine, root, before)
    machine = replace(machine, kernel=root.kernel, root=root.identity)
    chosen = with_free_ports(machine)
    if chosen != machine:
        told = f"a port of it is taken; SSH moves from {machine.ssh_port} to {chosen.ssh_port}"
        Progress(f"vm {machine.name}").tell(told)
    chosen.save()
    chosen.write_ssh_config()
    return chosen


def make_key_pair(machine: Machine) -> None:
    """Makes the machine's key pair, unless both halves are there. A new disk keeps the pair."""
    public = machine.ssh_key.with_suffix(".pub")
    if machine.ssh_key.exists() and public.exists():
        return
    aside = machine.folder / ".key.new"
    for path in (aside, aside.with_name(".key.new.pub"), machine.ssh_key, public):
        path.unlink(missing_ok=True)
    program_output(
        "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"boardllama-vm-{machine.name}", "-f", str(aside)
    )
    aside.with_name(".key.new.pub").rename(public)
    aside.rename(machine.ssh_key)


def make_disk(machine: Machine, root: root_tree.VmRoot, before: Machine | None) -> None:
    """Makes the disk: an empty layer over the cached root. A disk over another root would mix two roots, and goes."""
    if before and machine.disk.exists():
        Progress(f"vm {machine.name}").tell("its root has changed (new recipe or newer packages): it gets a new disk")
    machine.known_hosts.unlink(missing_ok=True)
    aside = machine.folder / ".disk.new"
    layer = ("create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(root.disk), str(aside), f"{machine.hardware.disk}G")
    program_output("qemu-img", *layer)
    # The key that the old disk accepts may be another one; state.json says which root the new disk stands on.
    (machine.folder / "state.json").unlink(missing_ok=True)
    aside.rename(machine.disk)


def start_qemu(machine: Machine) -> None:
    """Starts QEMU in a session of its own, where Ctrl-C does not reach it. It holds no file of this process open.

    Raises BoardllamaError with QEMU's last words when QEMU ends, or does nothing for START_DEADLINE seconds.
    """
    for path in (machine.console, machine.pid_file):
        path.unlink(missing_ok=True)
    if machine.hardware.write_log:
        empty_write_log(machine)
    public_key = machine.ssh_key.with_suffix(".pub").read_text()
    child, patience = None, Patience(START_DEADLINE)
    try:
        with machine.log.open("wb") as log, uninterrupted():
            child = subprocess.Popen(
                machine.qemu_command(public_key),
                cwd=machine.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while machine.process_id() is None:
            if child.poll() is not None or patience.is_over(processor_seconds(child.pid)):
                raise BoardllamaError(f"QEMU did not start: {machine.last_words()}")
            time.sleep(0.05)
    except BaseException:  # Ctrl-C too: nobody would find it without its pid file
        if child:
            child.kill()
        raise


def empty_write_log(machine: Machine) -> None:
    """Makes the write log as large as it may become, and sparse: QEMU lets no log grow."""
    machine.write_log.unlink(missing_ok=True)
    with machine.write_log.open("wb") as file:
        file.truncate(WRITE_LOG_BYTES)


def stop_machine(name: str | None = None, wipe: bool = False) -> None:
    """Powers the machine off where it runs. `wipe`: then removes its files. Raises BoardllamaError."""
    folder = machine_folder(name)
    if not folder.exists():
        print(f"vm {folder.name}: is down")
        return
    with folder_lock(folder, f"vm {folder.name}"):
        machine = Machine.read(folder)
        if machine and machine.process_id():
            power.power_off(machine)
        print(f"vm {folder.name}: is down")
        if wipe:
            shutil.rmtree(folder)


def reboot_machine(name: str | None = None) -> None:
    """Restarts the guest and waits until it runs again. Raises BoardllamaError."""
    machine = Machine.load(name)
    with folder_lock(machine.folder, f"vm {machine.name}"):
        before = boot_id(machine)
        started = time.monotonic()
        run_in_guest(machine, "systemctl --no-block reboot")
        power.wait_for_new_boot(machine, before)
        wait_until_ready(machine, started)


def print_status(name: str | None = None) -> int:
    """Prints how to reach the machine. Returns the exit status: 0 when it is up, 3 when it is down, as systemctl's."""
    try:
        machine = Machine.load(name)
    except BoardllamaError:
        print(f"vm {machine_folder(name).name}: is down")
        return 3
    print(f"vm {machine.name}: is up, ssh -F {machine.ssh_config} {machine.name}, {machine.api_url}")
    return 0


def print_log(name: str | None = None) -> None:
    """Prints the console's log, of this or the last boot. Raises BoardllamaError when there is none."""
    console = machine_folder(name) / "console.log"
    if not console.exists():
        raise BoardllamaError(f"{console} is not there: the VM was never up, run make vm")
    shutil.copyfileobj(console.open(errors="replace"), sys.stdout)
