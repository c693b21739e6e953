"""Ending a machine: by asking its guest, or as a power cut does; and seeing a reboot through."""

import os
import signal
import subprocess
import time

from deploy.errors import BoardllamaError
from deploy.machine import Machine
from deploy.ready import Progress, boot_id, ssh

# systemd gives a service 20 s (root/files), and the guest is emulated.
OFF_DEADLINE = 60.0
REBOOT_DEADLINE = 120.0


def off(machine: Machine) -> None:
    """Asks the guest to power off; when it does not within OFF_DEADLINE seconds, QEMU is told to end, then killed.

    By SSH, because QEMU's power button reaches no guest that was started without firmware on this kernel.
    """
    progress = Progress(machine)
    try:
        ssh(machine, "systemctl --no-block poweroff", deadline=20)
    except BoardllamaError as error:
        progress.say(f"the guest cannot be asked to power off ({error}); its plug is pulled")
    else:
        if ended(machine, progress, OFF_DEADLINE):
            return close_shared_connection(machine)
        progress.say(f"still there after {OFF_DEADLINE:.0f} s; its plug is pulled")
    if not signalled(machine, signal.SIGTERM):
        cut(machine)
    return close_shared_connection(machine)


def close_shared_connection(machine: Machine) -> None:
    """Ends the ssh process that holds the shared connection, so that nothing of this machine stays behind."""
    line = ["ssh", "-F", str(machine.ssh_config), "-O", "exit", machine.name]
    subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)


def cut(machine: Machine) -> None:
    """Pulls the plug: SIGKILL. What the guest had not flushed is lost, as with a board."""
    if not signalled(machine, signal.SIGKILL):
        raise BoardllamaError(f"vm {machine.name}: QEMU does not end, not even killed; see {machine.pid_file}")
    close_shared_connection(machine)


def signalled(machine: Machine, number: signal.Signals) -> bool:
    """Sends QEMU a signal; whether it is gone within 10 s. SIGTERM lets it flush its image first."""
    process = machine.process_id()
    if process is not None:
        os.kill(process, number)
    return ended(machine, Progress(machine), 10.0)


def ended(machine: Machine, progress: Progress, patience: float) -> bool:
    """Whether QEMU ends within that many seconds."""
    deadline = time.monotonic() + patience
    while machine.process_id() is not None:
        if time.monotonic() > deadline:
            return False
        progress.still("powering off")
        time.sleep(0.1)
    return True


def wait_for_new_boot(machine: Machine, before: str) -> None:
    """Returns when the guest's boot id is another one. Raises BoardllamaError after REBOOT_DEADLINE seconds."""
    progress = Progress(machine)
    while progress.seconds < REBOOT_DEADLINE:
        try:
            if boot_id(machine) != before:
                return
        except BoardllamaError:
            if machine.process_id() is None:
                raise
        progress.still("rebooting")
        time.sleep(0.5)
    raise BoardllamaError(f"vm {machine.name}: it did not reboot within {REBOOT_DEADLINE:.0f} s")
