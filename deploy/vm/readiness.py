"""Waiting for a machine: ready means that SSH answers and that systemd says so, never that some time has passed."""

import time

from deploy.controller.patience import Patience
from deploy.controller.progress import Progress, say_line
from deploy.errors import BoardllamaError
from deploy.vm.guest import can_log_in, has_ssh_greeting, run_in_guest, system_state
from deploy.vm.life_signs import sign_of_life
from deploy.vm.machine import Machine

# Seconds without a sign of life from the guest, which on a busy controller may be ten times as slow as on an idle one.
READY_DEADLINE = 180.0
PANIC = "Kernel panic"
CONSOLE_LINES = 15


def wait_until_ready(machine: Machine, started: float | None = None, deadline: float = READY_DEADLINE) -> None:
    """Returns when SSH answers and `systemctl is-system-running` says "running".

    Otherwise prints the console's last lines on stderr, and raises BoardllamaError with the reason: QEMU has ended, a
    unit has failed, or the guest has shown no sign of life for `deadline` seconds.
    """
    progress = Progress(f"vm {machine.name}", started=time.monotonic() if started is None else started)
    try:
        wait_for_ssh(machine, progress, deadline)
        if started is not None:
            progress.tell_timed("SSH answers")
        wait_for_systemd(machine, progress, deadline)
        if started is not None:
            progress.tell_timed("running")
    except BoardllamaError:
        say_line(last_console_lines(machine))
        raise


def wait_for_ssh(machine: Machine, progress: Progress, deadline: float) -> None:
    """Returns when a command runs over SSH. Raises BoardllamaError `deadline` seconds after the last sign of life."""
    patience = Patience(deadline)
    while True:
        check_qemu(machine)
        if has_ssh_greeting(machine.ssh_port, progress.seconds) and can_log_in(machine):
            return
        if patience.is_over(sign_of_life(machine)) or PANIC in last_console_lines(machine):
            raise BoardllamaError(
                f"vm {machine.name}: no SSH after {deadline:.0f} s without a sign of life, see {machine.console}"
            )
        progress.still("booting")


def check_qemu(machine: Machine) -> None:
    """Raises BoardllamaError, with QEMU's last words, when QEMU has ended."""
    if machine.process_id() is None:
        raise BoardllamaError(f"vm {machine.name}: QEMU ended: {machine.last_words()}")


def wait_for_systemd(machine: Machine, progress: Progress, deadline: float) -> None:
    """Returns when all units are up.

    Raises BoardllamaError with the units that failed, or `deadline` seconds after the last sign of life.
    """
    patience = Patience(deadline)
    while (state := system_state(machine)) in ("initializing", "starting"):
        check_qemu(machine)
        if patience.is_over(sign_of_life(machine)):
            break
        progress.still("starting its units")
    if state != "running":
        failed = run_in_guest(machine, "systemctl --failed --plain --no-legend | cut -d ' ' -f 1").split()
        units = f": {', '.join(failed)} failed" if failed else f" after {progress.seconds:.0f} s"
        raise BoardllamaError(f"vm {machine.name}: systemd says {state}{units}; see journalctl in the VM")


def last_console_lines(machine: Machine) -> str:
    """The end of the console's log, for people."""
    try:
        lines = machine.console.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    return "\n".join([f"-- the last lines of {machine.console}:", *lines[-CONSOLE_LINES:]])
