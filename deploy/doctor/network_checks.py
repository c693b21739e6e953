"""A board as this computer sees it before anyone has logged in: name, ping, SSH port, login. Each with a deadline."""

import getpass
import re
import shutil
import socket
from dataclasses import dataclass

from deploy.errors import BoardllamaError
from deploy.onboard.commands import end_of
from deploy.onboard.doctor.lights import Finding, bad, good, unknown
from deploy.vm.machine import Machine

ACCOUNT = "board"
QEMU = "qemu"
NAME_SECONDS, PING_SECONDS, PORT_SECONDS, LOGIN_SECONDS = 15, 3, 5, 40
OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "15",
    "StrictHostKeyChecking": "accept-new",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "4",
    "LogLevel": "ERROR",
}
# What ssh says, what it means, and what to do.
REFUSALS = {
    "REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed": (
        "it has another SSH key than before: a card that was written anew, or another machine",
        "when the card was written anew: ssh-keygen -R {place}, and run this again",
    ),
    "Permission denied": (
        "it does not let {user} in with any key of this computer",
        "put this computer's key into boardllama.txt (ssh_key = …) and start the board again; or HOST=user@{host}",
    ),
    "no matching": ("it and this computer's ssh have no common method", "update this computer's ssh"),
    "Connection closed|Connection reset|kex_exchange": (
        "it hung up: too many logins at once, or its SSH server is not well",
        "wait a minute and run this again; else restart the board",
    ),
}


@dataclass(frozen=True)
class SshDestination:
    """A board as ssh reaches it. `host` is what the user typed; `number` is the port.

    `ssh`: the words before a command, with every option. `through`: the jump host or the program that leads to the
    board, and alone can resolve its address; "" where ssh connects directly.
    """

    host: str
    user: str
    address: str
    number: int
    ssh: tuple[str, ...]
    through: str = ""

    @property
    def known_hosts_name(self) -> str:
        """The name of the board in known_hosts, quoted for a shell."""
        return self.address if self.number == 22 else f"'[{self.address}]:{self.number}'"


def find_destination(host: str) -> SshDestination:
    """The destination of [user@]name[:port], with what ~/.ssh/config says about the name; or the VM's for `qemu`.

    Raises BoardllamaError for any other text.
    """
    if host == QEMU:
        machine = Machine.load()
        return SshDestination(
            host, "root", "127.0.0.1", machine.ssh_port, ("ssh", "-F", str(machine.ssh_config), machine.name)
        )
    found = re.fullmatch(
        r"(?:([a-z_][a-z0-9_.-]*)@)?(\[[0-9a-fA-F:.%\w]+\]|[\w.-]+|(?:[0-9a-fA-F]*:){2,}[.%\w]*)(?::(\d+))?", host
    )
    if not found or found[2].startswith("-"):
        raise BoardllamaError(
            f"HOST is {host!r}: must be a name or an address, with user@ before or :port behind it if need be"
        )
    bare = found[2].strip("[]")
    options = [f"-o{name}={value}" for name, value in OPTIONS.items()]
    options += [f"-oPort={found[3]}"] if found[3] else []
    settings = ssh_settings([*options, bare])
    user = found[1] or (settings["user"] if settings["user"] != getpass.getuser() else ACCOUNT)
    way = settings.get("proxyjump") or settings.get("proxycommand", "none")
    return SshDestination(
        host,
        user,
        settings["hostname"],
        int(settings["port"]),
        ("ssh", *options, f"-oUser={user}", bare),
        "" if way == "none" else way,
    )


def ssh_settings(words: list[str]) -> dict[str, str]:
    """The options that ssh would use, by name, as `ssh -G` prints them. Raises BoardllamaError."""
    done = end_of("ssh", "-G", *words, deadline=NAME_SECONDS)
    if done is None or done.returncode:
        raise BoardllamaError(f"ssh does not take {words[-1]}: {done.stderr.strip() if done else 'no answer'}")
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def check_route(board: SshDestination) -> Finding:
    """Says through which host or program ~/.ssh/config leads to the board."""
    return good(f"through {board.through}")


def check_name(board: SshDestination) -> Finding:
    """Whether the board's name leads to an address."""
    done = end_of("getent", "ahosts", board.address, deadline=NAME_SECONDS)
    if done and done.returncode == 0:
        found = done.stdout.split()[0]
        return good(found if found == board.address else f"{board.address} is {found}")
    other = "" if "." in board.address else f"HOST={board.address}.local, or "
    advice = f"try {other}the address that the router's list of devices shows"
    return bad(f"nobody knows the name {board.address}", advice)


def check_ping(board: SshDestination) -> Finding:
    """Whether the board answers a ping. No answer is no fault: some networks let no ping through."""
    if not shutil.which("ping"):
        return unknown("this computer has no ping")
    done = end_of("ping", "-c", "1", "-W", str(PING_SECONDS), board.address, deadline=PING_SECONDS + 5)
    return good("answers") if done and done.returncode == 0 else unknown("no answer")


def check_ssh_port(board: SshDestination) -> Finding:
    """Whether an SSH server greets at the board's port."""
    where = f"port {board.number}"
    try:
        with socket.create_connection((board.address, board.number), timeout=PORT_SECONDS) as connection:
            connection.settimeout(PORT_SECONDS)
            greeting = connection.recv(64)
    except ConnectionRefusedError:
        return bad(
            f"{where} is closed: a machine is there, without an SSH server",
            "wait three minutes after power on, then run this again",
        )
    except OSError as error:
        return bad(f"{where} does not answer ({error.strerror or 'timed out'})", "see below")
    if not greeting.startswith(b"SSH-"):
        return bad(f"{where} is open and silent", "the board is busy or starting: wait a minute and run this again")
    return good(f"{where} greets: {greeting.split()[0].decode(errors='replace')}")


def check_login(board: SshDestination) -> Finding:
    """Whether a key of this computer logs in."""
    done = end_of(*board.ssh, "true", deadline=LOGIN_SECONDS)
    if done is None:
        return bad(
            f"no login within {LOGIN_SECONDS} s",
            "the board is overloaded or its card is dying: restart it, or write a new card",
        )
    if done.returncode == 0:
        return good(f"as {board.user}")
    values = {"user": board.user, "host": board.address, "place": board.known_hosts_name}
    for pattern, (text, advice) in REFUSALS.items():
        if re.search(pattern, done.stderr):
            return bad(text.format(**values), advice.format(**values))
    return bad(
        (done.stderr.strip().splitlines() or [f"ssh ended with {done.returncode}"])[-1],
        f"`ssh {board.user}@{board.address}` shows it too",
    )
