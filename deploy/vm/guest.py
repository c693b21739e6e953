"""The guest of a machine, reached by SSH: commands in it, and what it answers."""

import shlex
import socket
import time

from deploy.controller.programs import program_output
from deploy.errors import BoardllamaError
from deploy.vm.machine import Machine

# Seconds. A command's connection notices by itself when the guest is gone (ssh_config).
COMMAND_DEADLINE = 600.0
LOGIN_DEADLINE = 60.0
# What ssh says of a host key that is not the known one.
ANOTHER_KEY = "Host key verification failed"


def run_in_guest(machine: Machine, command: str, deadline: float = COMMAND_DEADLINE, shared: bool = True) -> str:
    """Standard output of a shell command, run as root in the guest. `shared`: over the shared connection.

    Raises BoardllamaError when the command fails or does not end within `deadline` seconds.
    """
    alone = [] if shared else ["-o", "ControlPath=none"]
    as_root = command if machine.user == "root" else f"sudo -n sh -c {shlex.quote(command)}"
    line = ["ssh", "-F", str(machine.ssh_config), *alone, machine.name, as_root]
    return program_output(*line, deadline=deadline, name=f"vm {machine.name}: {command!r}").decode(errors="replace")


def has_ssh_greeting(port: int, waited: float = 0.0) -> bool:
    """Whether an SSH server's first bytes come. QEMU itself accepts the connection long before the guest listens.

    `waited`: seconds for which the guest has been waited for. The more there are, the more time the bytes get, since a
    busy guest takes seconds to start the server's process.
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
    """Whether root's key is accepted. Right after its start a guest may still refuse it: ask again.

    Raises BoardllamaError for a guest whose host key is not the known one, which no waiting changes.
    """
    try:
        run_in_guest(machine, "true", deadline=LOGIN_DEADLINE)
    except BoardllamaError as refusal:
        if ANOTHER_KEY in str(refusal):
            name = machine.name
            raise BoardllamaError(
                f"vm {name}: its SSH host key is another one than before: the disk was changed from outside. "
                f"`BOARDLLAMA_VM={name} python -m deploy.vm down --wipe` forgets it with its disk; then start it again"
            ) from None
        return False
    return True


def boot_id(machine: Machine, deadline: float = COMMAND_DEADLINE, shared: bool = True) -> str:
    """The kernel's name for this boot. Raises BoardllamaError."""
    return run_in_guest(machine, "cat /proc/sys/kernel/random/boot_id", deadline, shared).strip()


def system_state(machine: Machine) -> str:
    """systemd's word for the state of the guest, when the state is final or after 10 s. Raises BoardllamaError."""
    waiting = "timeout 10 systemctl is-system-running --wait || systemctl is-system-running || true"
    return (run_in_guest(machine, waiting).split() or ["silent"])[-1]
