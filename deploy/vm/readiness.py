"""Waiting for a machine: ready means that SSH answers and that systemd says so, never that some time has passed."""

import shlex
import socket
import subprocess
import sys
import time

from deploy.errors import BoardllamaError
from deploy.patience import Patience
from deploy.vm.life_signs import sign_of_life
from deploy.vm.machine import Machine

# Seconds without a sign of life from the guest, which on a busy controller may be ten times as slow as on an idle one.
READY_DEADLINE = 180.0
# A command's connection notices by itself when the guest is gone (ssh_config).
COMMAND_DEADLINE = 600.0
LOGIN_DEADLINE = 60.0
PANIC = "Kernel panic"
CONSOLE_LINES = 15


class MachineProgress:
    """Lines on stderr about one machine, with the seconds since `started` (time.monotonic())."""

    def __init__(self, machine: Machine, started: float | None = None) -> None:
        self.name = machine.name
        self.started = time.monotonic() if started is None else started
        self.last = self.started

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    def say(self, line: str) -> None:
        """A line now."""
        print(f"vm {self.name}: {line}", file=sys.stderr, flush=True)

    def still(self, doing: str) -> None:
        """A line such as "booting, 12 s", at most one in 5 s."""
        if time.monotonic() - self.last >= 5:
            self.last = time.monotonic()
            self.say(f"{doing}, {self.seconds:.0f} s")


def run_in_guest(machine: Machine, command: str, deadline: float = COMMAND_DEADLINE, shared: bool = True) -> str:
    """Standard output of a shell command, run as root in the machine, over the shared connection unless told not to.

    Raises BoardllamaError when it fails or does not end within the deadline (seconds).
    """
    alone = [] if shared else ["-o", "ControlPath=none"]
    as_root = command if machine.user == "root" else f"sudo -n sh -c {shlex.quote(command)}"
    line = ["ssh", "-n", "-F", str(machine.ssh_config), *alone, machine.name, as_root]
    try:
        result = subprocess.run(line, capture_output=True, text=True, timeout=deadline)
    except subprocess.TimeoutExpired:
        raise BoardllamaError(f"vm {machine.name}: {command!r} did not end within {deadline:.0f} s") from None
    if result.returncode != 0:
        said = (result.stderr.strip() or result.stdout.strip() or "it said nothing").splitlines()[-1]
        raise BoardllamaError(f"vm {machine.name}: {command!r} ended with {result.returncode}: {said}")
    return result.stdout


def boot_id(machine: Machine, deadline: float = COMMAND_DEADLINE, shared: bool = True) -> str:
    """The kernel's name for this boot. Raises BoardllamaError."""
    return run_in_guest(machine, "cat /proc/sys/kernel/random/boot_id", deadline, shared).strip()


def wait_until_ready(machine: Machine, started: float | None = None, deadline: float = READY_DEADLINE) -> None:
    """Returns when SSH answers and `systemctl is-system-running` says "running".

    Raises BoardllamaError with the reason (QEMU ended, a unit failed, no sign of life for `deadline` seconds), after it
    has written the console's last lines to stderr.
    """
    progress = MachineProgress(machine, started)
    try:
        wait_for_ssh(machine, progress, deadline)
        if started is not None:
            progress.say(f"SSH answers, {progress.seconds:.0f} s")
        wait_for_systemd(machine, progress, deadline)
        if started is not None:
            progress.say(f"running, {progress.seconds:.0f} s")
    except BoardllamaError:
        print(last_console_lines(machine), file=sys.stderr, flush=True)
        raise


def wait_for_ssh(machine: Machine, progress: MachineProgress, deadline: float) -> None:
    """Returns when a command runs over SSH."""
    patience = Patience(deadline)
    while True:
        check_qemu(machine)
        if has_ssh_greeting(machine.ssh_port, progress.seconds) and can_log_in(machine):
            return
        if patience.ends(sign_of_life(machine)) or PANIC in last_console_lines(machine):
            raise BoardllamaError(
                f"vm {machine.name}: no SSH after {deadline:.0f} s without a sign of life, see {machine.console}"
            )
        progress.still("booting")


def check_qemu(machine: Machine) -> None:
    """Raises BoardllamaError when it has ended."""
    if machine.process_id() is None:
        raise BoardllamaError(f"vm {machine.name}: QEMU ended: {machine.last_words()}")


def has_ssh_greeting(port: int, waited: float = 0.0) -> bool:
    """Whether an SSH server's first bytes come. QEMU itself accepts the connection long before the guest listens.

    A guest that has been waited for is given more time for them: to start a server's process takes a busy one seconds.
    """
    patience = min(2 + waited / 20, 10)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
            if connection.recv(4) == b"SSH-":
                return True
    except OSError:
        pass
    time.sleep(0.2)
    return False


def can_log_in(machine: Machine) -> bool:
    """Whether root's key is accepted. Its tries have an end: right after the start the guest may still refuse."""
    try:
        run_in_guest(machine, "true", deadline=LOGIN_DEADLINE)
    except BoardllamaError:
        return False
    return True


def wait_for_systemd(machine: Machine, progress: MachineProgress, deadline: float) -> None:
    """Returns when all units are up. Raises BoardllamaError with the names of those that failed."""
    patience = Patience(deadline)
    while (state := system_state(machine)) in ("initializing", "starting"):
        check_qemu(machine)
        if patience.ends(sign_of_life(machine)):
            break
        progress.still("starting its units")
    if state != "running":
        failed = run_in_guest(machine, "systemctl --failed --plain --no-legend | cut -d ' ' -f 1").split()
        units = f": {', '.join(failed)} failed" if failed else f" after {progress.seconds:.0f} s"
        raise BoardllamaError(f"vm {machine.name}: systemd says {state}{units}; see journalctl in the VM")


def system_state(machine: Machine) -> str:
    """systemd's word for it, as soon as it is final, or after some seconds."""
    waiting = "timeout 10 systemctl is-system-running --wait || systemctl is-system-running || true"
    return (run_in_guest(machine, waiting).split() or ["silent"])[-1]


def last_console_lines(machine: Machine) -> str:
    """The end of the console's log, for people."""
    try:
        lines = machine.console.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    return "\n".join([f"-- the last lines of {machine.console}:", *lines[-CONSOLE_LINES:]])
