"""What systemd, sshd and the kernel tell of this system: its clock, its units, its open ports."""

from pathlib import Path

from ..commands import run_command
from ..watch import LISTENING, far_ends
from .looks import values_from

DEADLINE = 10.0


def is_clock_set() -> bool:
    """Whether a time server has set the clock. Raises LookupError when no time server is asked."""
    shown = run_command("timedatectl", "show", "--property=NTP,NTPSynchronized", deadline=DEADLINE).split()
    if "NTP=no" in shown and "NTPSynchronized=no" in shown:
        raise LookupError("no time server")
    return "NTPSynchronized=yes" in shown


def is_active(unit: str) -> bool:
    """Whether systemd runs the unit or starts it. Raises OSError."""
    return run_command("systemctl", "show", "--property=ActiveState", unit, deadline=DEADLINE).strip() in (
        "ActiveState=active",
        "ActiveState=activating",
    )


def is_listening(port: int, net: Path = Path("/proc/net")) -> bool:
    """Whether a TCP server listens at the port. `net`: the folder with proc_net_tcp(5). Raises OSError."""
    return bool(far_ends(port, LISTENING, str(net)))


def is_ssh_listening() -> bool:
    """Whether a server listens at a port of sshd's settings, or at 22 when they cannot be read. Raises OSError."""
    # -G is new in OpenSSH 9.3; -T does the same for root, if the host keys are good.
    said = values_from(lambda option: run_command("/usr/sbin/sshd", option, deadline=DEADLINE), ("-G", "-T"))
    rows = [line.split() for line in "".join(said[:1]).splitlines()]
    named = [row[1].rpartition(":")[2] for row in rows if len(row) == 2 and row[0] in ("port", "listenaddress")]
    ports = {int(port) for port in named if port.isdigit()} or {22}
    return any([is_listening(port) for port in ports])


def failed_units() -> tuple[str, ...]:
    """Names of the units that systemd says have failed. Raises OSError."""
    shown = run_command(
        "systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager", deadline=DEADLINE
    )
    return tuple(line.split()[0] for line in shown.splitlines() if line.strip())
