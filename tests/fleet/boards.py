"""Simulated boards: each with an address, a systemd as its first process, a disk, and nothing of another board's."""

import os
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from deploy.controller.patience import Patience
from deploy.controller.programs import program_output
from deploy.errors import BoardllamaError
from tests.fleet.apart import own_cgroup, remove_cgroup, run_folder
from tests.fleet.board_tree import HERE

BRIDGE = "fleet0"
CONTROLLER = "10.99.0.1"
FIRST = 10
MOST_BOARDS = 200
# Seconds without a word of the boards that start. Fifty of them take a minute of both cores.
START_SECONDS = 120.0
# For the programs of two releases, but not for the model of a roll-out.
ROOM = "160m"


@dataclass(frozen=True)
class Board:
    """`number`: from 1. `models`: whether models have a disk of their own, as large as the controller's. `room`: of
    its disk, as tmpfs says it.
    """

    number: int
    name: str = ""
    models: bool = True
    machine: str = "aarch64"
    room: str = ROOM

    @property
    def title(self) -> str:
        """Its name in the inventory."""
        return self.name or f"board-{self.number:02}"

    @property
    def address(self) -> str:
        return f"10.99.0.{FIRST + self.number}"

    @property
    def folder(self) -> Path:
        """Its files on the controller."""
        return run_folder() / "boards" / self.title

    @property
    def cgroup(self) -> Path:
        return boards_cgroup() / self.title

    @property
    def sshd_log(self) -> Path:
        return self.folder / "log" / "sshd.log"

    @property
    def first_process(self) -> str:
        """Its systemd, as the controller numbers it. While it is up."""
        return (self.cgroup / "init.scope" / "cgroup.procs").read_text().split()[0]

    @property
    def root(self) -> Path:
        """Its files, as its own processes see them. While it is up."""
        return Path(f"/proc/{self.first_process}/root")

    def run(self, *words: str) -> str:
        """What a program prints there. Raises BoardllamaError when the program fails."""
        spaces = "--mount --uts --ipc --net --pid --cgroup".split()
        return program_output("nsenter", f"--target={self.first_process}", *spaces, "--", *words).decode()

    def host_data(self) -> dict[str, Any]:
        """What an inventory says of it."""
        own = {"ssh_hostname": self.address, "ssh_user": "root", "ssh_key": str(controller_key())}
        return {**own, "ssh_known_hosts_file": str(run_folder() / "known_hosts")}

    def start(self, tree: Path) -> None:
        """Makes its network and starts it. Returns before it is up."""
        link = f"v{self.number}"
        run_ip(
            f"netns add {self.title}",
            f"link add {link} type veth peer name eth0 netns {self.title}",
            f"link set {link} master {BRIDGE} up",
        )
        run_ip(f"addr add {self.address}/24 dev eth0", "link set eth0 up", "link set lo up", within=self.title)
        self.folder.mkdir(parents=True)
        self.cgroup.mkdir(parents=True)
        told = {"NAME": self.title, "TREE": tree, "FOLDER": self.folder, "KEY": f"{controller_key()}.pub"}
        told |= {"ROOM": self.room, "MODELS": "yes" if self.models else "no", "MACHINE": self.machine}
        spaces = "--pid --mount --uts --ipc --cgroup --fork --kill-child".split()
        apart = ["nsenter", f"--net=/run/netns/{self.title}", "unshare", *spaces, "--", "sh", str(HERE / "board.sh")]
        with (self.folder / "start.log").open("wb") as log:
            subprocess.Popen(
                within_cgroup(self.cgroup, apart),
                env={**os.environ, **{name: str(value) for name, value in told.items()}},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def is_up(self) -> bool:
        """Whether its SSH server greets."""
        with suppress(OSError), socket.create_connection((self.address, 22), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"
        return False

    def last_words(self) -> str:
        """Why it does not come up, as far as it said."""
        logs = [self.folder / name for name in ("log/boot.log", "start.log")]
        lines = [line for log in logs if log.exists() for line in log.read_text(errors="replace").splitlines()]
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")

    def cut_off(self) -> None:
        """Pulls its cable."""
        run_ip(f"link set v{self.number} down")

    def lose_sight_of(self, other: "Board") -> None:
        """Sends nothing to another board any more; the controller is answered as before."""
        run_ip(f"route add blackhole {other.address}", within=self.title)

    def see_again(self, other: "Board") -> None:
        """Ends that."""
        run_ip(f"route del blackhole {other.address}", within=self.title)

    def stop(self) -> None:
        """Ends it at once; nothing of its disk stays."""
        remove_cgroup(self.cgroup)
        # The kernel takes a network away later, and its link would still hold its name.
        run_ip(f"link del v{self.number}", f"netns del {self.title}")
        subprocess.run(["rm", "-rf", str(self.folder)], check=True)


@dataclass
class Fleet:
    """The boards that are up. `tree`: what they share."""

    tree: Path
    boards: list[Board] = field(default_factory=list)

    def start(self, boards: list[Board]) -> None:
        """Starts boards and waits until all of them take connections. Raises BoardllamaError."""
        make_network()
        for board in boards:
            board.start(self.tree)
            self.boards.append(board)
        patience, waiting = Patience(START_SECONDS), boards
        while waiting := [board for board in waiting if not board.is_up()]:
            if patience.is_over(len(waiting)):
                raise BoardllamaError(f"{waiting[0].title} does not come up: {waiting[0].last_words()}")
            time.sleep(0.2)

    def stop(self) -> None:
        """Ends all boards."""
        while self.boards:
            self.boards.pop().stop()


@cache
def make_network() -> None:
    """Makes the bridge of all boards, with the controller on it, once in a run."""
    Path("/run/netns").mkdir(exist_ok=True)
    # Names of networks are files in /run/netns: ours must not be seen outside, nor those of outside here.
    program_output("mount", "-t", "tmpfs", "netns", "/run/netns")
    run_ip(f"link add {BRIDGE} type bridge", f"addr add {CONTROLLER}/24 dev {BRIDGE}")
    run_ip(f"link set {BRIDGE} up", "link set lo up")


def boards_cgroup() -> Path:
    """The cgroup whose children the boards are."""
    return own_cgroup() / "boards"


def controller_key() -> Path:
    """The key by which the controller enters every board of the run; made at the first use."""
    key = run_folder() / "key"
    if not key.exists():
        program_output("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "fleet", "-f", str(key))
    return key


def run_ip(*lines: str, within: str = "") -> None:
    """Runs lines of ip, in the network of that name or in the controller's. Raises BoardllamaError."""
    place = ["-n", within] if within else []
    program_output(
        "ip", *place, "-batch", "-", given="".join(f"{line}\n" for line in lines).encode(), package="iproute2"
    )


def within_cgroup(cgroup: Path, command: list[str]) -> list[str]:
    """The command line that runs a command, and all that it starts, in a cgroup."""
    return ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(cgroup), *command]
