"""Models from board to board by BitTorrent: this controller is the tracker and the first that has them.

Boards find one another by the tracker alone, and each proves the whole file by its sha256 as ever: none has to trust
another. A board that cannot take part gets the model over SSH.
"""

import ipaddress
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pyinfra.api.host import Host

from deploy.debian.deb_store import RELEASES, DebStore
from deploy.debian.workspace import WITH_US
from deploy.fleet.sharing.board_script import run_fetching
from deploy.fleet.sharing.once import Once
from deploy.fleet.sharing.torrent import torrent_of
from deploy.hosts.carriage import NotThisWay, rate_limit
from deploy.hosts.packages import NotInstalled, install_debian_packages
from deploy.hosts.remote import Remote
from deploy.hosts.ssh.connection import BoardConnector
from deploy.hosts.store import BigFile
from deploy.paths import PACKAGE
from deploy.settings import Settings

# What leaves this controller at most, in copies of the file: three with the headers of TCP. Whoever has not all of the
# file then gets the rest from others.
COPIES = 2.9
UNIT = "boardllama-sharing-"
SCRIPT = "fetch_from_peers.sh"


@dataclass(frozen=True)
class Peers:
    """The way of a model from the boards that have it. `limit`: bytes a second, 0 for all."""

    limit: int
    origin: str = "the other boards"

    @staticmethod
    def of_settings(settings: Settings) -> "Peers":
        return Peers(rate_limit(settings))

    def fetch_file(self, remote: Remote, file: BigFile) -> None:
        """Has the board take part in the exchange until it has the file. Raises NotThisWay, OSError."""
        tracker = f"http://{own_address(remote.host)}:{tracker_port()}/announce"
        given = give_away(file.source, file.sha256, self.limit).read_bytes()
        bring_program(remote)
        words = [file.part_path, str(len(given)), tracker, f"{UNIT}{file.sha256[:16]}", str(self.limit)]
        run_fetching(remote, SCRIPT, words, given)

    def end_fetching(self, remote: Remote) -> None:
        """Stops aria2 there, which removes it where it was not installed before."""
        remote.run(f"test ! -d /run/systemd/system || systemctl stop '{UNIT}*'")


def bring_program(remote: Remote) -> None:
    """Brings aria2 to a board that lacks it, where a bundle has brought it here. Raises NotThisWay."""
    if not any(DebStore(release).is_here for release in RELEASES) or remote.run("command -v aria2c || true"):
        return
    try:
        install_debian_packages(remote, ["aria2"], ())
    except NotInstalled as error:
        raise NotThisWay(str(error)) from None


def own_address(host: Host) -> str:
    """The address by which the board reaches this controller: that of the connection. Raises NotThisWay."""
    client = host.connector.client if isinstance(host.connector, BoardConnector) else None
    transport = client.get_transport() if client else None
    # Over a jump host the connection is a channel of another one.
    if transport and isinstance(transport.sock, socket.socket):
        with suppress(ValueError):
            address = ipaddress.IPv4Address(transport.sock.getsockname()[0])
            if not address.is_loopback:
                return str(address)
    raise NotThisWay("it is not reached by an IPv4 address of its own network")


@Once
def tracker_port() -> int:
    """The port of the tracker, which is started first. It ends with this process."""
    command = [*WITH_US, sys.executable, "-m", "deploy.fleet.sharing.tracker"]
    process = subprocess.Popen(command, cwd=PACKAGE.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout
    line = process.stdout.readline().strip()
    if not line.isdigit():
        raise NotThisWay("the tracker did not start")
    return int(line)


@Once
def give_away(source: Path, sha256: str, limit: int) -> Path:
    """Starts to give a file to boards, until this process ends, or after COPIES. Returns its torrent.

    Raises NotThisWay.
    """
    if not shutil.which("aria2c"):
        raise NotThisWay("aria2 is missing on this controller: apt-get install aria2")
    torrent = torrent_of(source, sha256)
    subprocess.Popen(
        [
            *WITH_US,
            "aria2c",
            "--no-conf",
            "--quiet",
            f"--dir={source.parent}",
            f"--index-out=1={source.name}",
            f"--bt-tracker=http://127.0.0.1:{tracker_port()}/announce",
            "--bt-tracker-interval=5",
            "--enable-dht=false",
            "--bt-enable-lpd=false",
            "--enable-peer-exchange=false",
            "--listen-port=6881-6999",
            # The file was proven when it came here.
            "--bt-seed-unverified=true",
            f"--seed-ratio={COPIES}",
            f"--max-overall-upload-limit={limit}",
            str(torrent),
        ],
        stdin=subprocess.DEVNULL,
    )
    return torrent
