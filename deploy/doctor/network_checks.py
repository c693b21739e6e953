"""A board as this computer sees it before anyone has logged in: name, ping, SSH port, login. Each with a deadline."""

import getpass
import re
import shutil
import socket
from dataclasses import dataclass

from deploy.errors import BoardllamaError
from deploy.onboard.commands import end_of
from deploy.onboard.doctor.lights import Verdict, bad, good, unknown
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
class Board:
    """Where it is. `ssh`: the words before a command, with every option; `through`: the host or program that alone
    knows the address, and reaches its port.
    """

    host: str
    user: str
    address: str
    number: int
    ssh: tuple[str, ...]
    through: str = ""

    @property
    def place(self) -> str:
        """As known_hosts has it."""
        return self.address if self.number == 22 else f"'[{self.address}]:{self.number}'"


def board_of(host: str) -> Board:
    """From [user@]name[:port], with what ~/.ssh/config says about it; or the VM. Raises BoardllamaError."""
    if host == QEMU:
        machine = Machine.load()
        return Board(host, "root", "127.0.0.1", machine.ssh_port, ("ssh", "-F", str(machine.ssh_config), machine.name))
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
    settings = configured([*options, bare])
    user = found[1] or (settings["user"] if settings["user"] != getpass.getuser() else ACCOUNT)
    way = settings.get("proxyjump") or settings.get("proxycommand", "none")
    return Board(
        host,
        user,
        settings["hostname"],
        int(settings["port"]),
        ("ssh", *options, f"-oUser={user}", bare),
        "" if way == "none" else way,
    )


def configured(words: list[str]) -> dict[str, str]:
    """What ssh would do: its options by name."""
    done = end_of("ssh", "-G", *words, deadline=NAME_SECONDS)
    if done is None or done.returncode:
        raise BoardllamaError(f"ssh does not take {words[-1]}: {done.stderr.strip() if done else 'no answer'}")
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def way(board: Board) -> Verdict:
    """What ~/.ssh/config says of it."""
    return good(f"through {board.through}")


def name(board: Board) -> Verdict:
    """Whether it leads to an address."""
    done = end_of("getent", "ahosts", board.address, deadline=NAME_SECONDS)
    if done and done.returncode == 0:
        found = done.stdout.split()[0]
        return good(found if found == board.address else f"{board.address} is {found}")
    other = "" if "." in board.address else f"HOST={board.address}.local, or "
    advice = f"try {other}the address that the router's list of devices shows"
    return bad(f"nobody knows the name {board.address}", advice)


def ping(board: Board) -> Verdict:
    """A hint only: some networks let no ping through."""
    if not shutil.which("ping"):
        return unknown("this computer has no ping")
    done = end_of("ping", "-c", "1", "-W", str(PING_SECONDS), board.address, deadline=PING_SECONDS + 5)
    return good("answers") if done and done.returncode == 0 else unknown("no answer")


def port(board: Board) -> Verdict:
    """Whether an SSH server greets there."""
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


def login(board: Board) -> Verdict:
    """Whether a key of this computer opens it."""
    done = end_of(*board.ssh, "true", deadline=LOGIN_SECONDS)
    if done is None:
        return bad(
            f"no login within {LOGIN_SECONDS} s",
            "the board is overloaded or its card is dying: restart it, or write a new card",
        )
    if done.returncode == 0:
        return good(f"as {board.user}")
    values = {"user": board.user, "host": board.address, "place": board.place}
    for pattern, (text, advice) in REFUSALS.items():
        if re.search(pattern, done.stderr):
            return bad(text.format(**values), advice.format(**values))
    return bad(
        (done.stderr.strip().splitlines() or [f"ssh ended with {done.returncode}"])[-1],
        f"`ssh {board.user}@{board.address}` shows it too",
    )
