"""Ends a machine, by asking its guest or as a power cut does; and waits for a guest that reboots."""

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from deploy.controller.patience import Patience
from deploy.controller.programs import program_output
from deploy.controller.progress import Progress
from deploy.errors import BoardllamaError
from deploy.vm.guest import LOGIN_DEADLINE, boot_id, has_ssh_greeting, run_in_guest
from deploy.vm.life_signs import sign_of_life
from deploy.vm.machine import Machine

# All in seconds. systemd gives a service 20 s to stop (root/files), and the guest is emulated.
OFF_DEADLINE = 60.0
KILL_DEADLINE = 20.0
REBOOT_DEADLINE = 180.0


def power_off(machine: Machine) -> None:
    """Asks the guest to power off. When it shows no life for OFF_DEADLINE seconds, QEMU is told to end, then killed.

    The guest is asked by SSH, because QEMU's power button reaches no guest that was started without firmware. Raises
    BoardllamaError when QEMU does not even die.
    """
    progress = Progress(f"vm {machine.name}")
    with qemu_process(machine) as qemu:
        try:
            run_in_guest(machine, "systemctl --no-block poweroff", deadline=20)
        except BoardllamaError as error:
            progress.tell(f"the guest cannot be asked to power off ({error}); its plug is pulled")
        else:
            if wait_for_end(qemu, progress, OFF_DEADLINE, partial(sign_of_life, machine)):
                return close_shared_connection(machine)
            progress.tell(f"still there after {progress.seconds:.0f} s; its plug is pulled")
        signal_qemu(qemu, signal.SIGTERM)
        if wait_for_end(qemu, progress, KILL_DEADLINE):
            return close_shared_connection(machine)
    return cut_power(machine)


def close_shared_connection(machine: Machine) -> None:
    """Ends the ssh process that holds the shared connection, so that no process of this machine stays behind."""
    line = ["ssh", "-F", str(machine.ssh_config), "-O", "exit", machine.name]
    with suppress(BoardllamaError):  # the guest is gone by now: ssh ends when it notices
        program_output(*line, deadline=20)


def cut_power(machine: Machine) -> None:
    """Pulls the plug: SIGKILL. What the guest had not flushed is lost, as with a board. Raises BoardllamaError."""
    with qemu_process(machine) as qemu:
        signal_qemu(qemu, signal.SIGKILL)
        if not wait_for_end(qemu, Progress(f"vm {machine.name}"), KILL_DEADLINE):
            raise BoardllamaError(f"vm {machine.name}: QEMU does not end, not even killed; see {machine.pid_file}")
    close_shared_connection(machine)


@contextmanager
def qemu_process(machine: Machine) -> Iterator[int | None]:
    """A descriptor that stays with QEMU's process until its last thread has gone; None when it is not running.

    A process that is being killed looks gone in /proc long before it lets go of its disk and ports.
    """
    number = machine.process_id()
    try:
        descriptor = None if number is None else os.pidfd_open(number)
    except ProcessLookupError:
        descriptor = None
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def signal_qemu(qemu: int | None, number: signal.Signals) -> None:
    """Sends QEMU a signal, unless QEMU has just ended. SIGTERM lets it flush its disk."""
    if qemu is not None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(qemu, number)


def wait_for_end(
    qemu: int | None, progress: Progress, seconds: float, sign_of_life: Callable[[], object] = lambda: None
) -> bool:
    """Waits until QEMU has ended, and returns true; false when that many seconds pass after the last sign of life."""
    patience = Patience(seconds)
    while qemu is not None and not select.select([qemu], [], [], 0.5)[0]:
        if patience.is_over(sign_of_life()):
            return False
        progress.still("powering off")
    return True


def wait_for_new_boot(machine: Machine, before: str) -> None:
    """Returns when the guest's boot id differs from `before`.

    Raises BoardllamaError REBOOT_DEADLINE seconds after the last sign of life. Each try has a connection of its own: a
    connection that ends with the guest would hang until ssh gives it up.
    """
    progress, patience = Progress(f"vm {machine.name}"), Patience(REBOOT_DEADLINE)
    close_shared_connection(machine)
    while not patience.is_over(sign_of_life(machine)):
        try:
            if (
                has_ssh_greeting(machine.ssh_port, progress.seconds)
                and boot_id(machine, LOGIN_DEADLINE, shared=False) != before
            ):
                return
        except BoardllamaError:
            if machine.process_id() is None:
                raise
        progress.still("rebooting")
        time.sleep(0.5)
    raise BoardllamaError(f"vm {machine.name}: it did not reboot within {progress.seconds:.0f} s")
