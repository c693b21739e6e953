"""Models from board to board by BitTorrent: this controller is the tracker and the first that has them.

Boards find one another by the tracker alone, and each proves the whole file by its sha256 as ever: none has to trust
another. A board that cannot take part gets the model over SSH.
"""

import ipaddress
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pyinfra.api.host import Host

from deploy.debian.workspace import WITH_US
from deploy.fleet.sharing.board_script import run_fetching
from deploy.fleet.sharing.giver import Giver
from deploy.fleet.sharing.once import Once
from deploy.fleet.sharing.torrent import torrent_of
from deploy.hosts.carriage import NotThisWay, pace_of, rate_limit
from deploy.hosts.packages import NotInstalled, install_from_store, store_for
from deploy.hosts.remote import Remote
from deploy.hosts.ssh.connection import BoardConnector
from deploy.hosts.store import BigFile
from deploy.paths import PACKAGE
from deploy.settings import Settings

UNIT = "boardllama-sharing-"
SCRIPT = "fetch_from_peers.sh"
# As the script says it.
NOT_INSTALLED = "aria2 cannot be installed there"


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
        words = [file.part_path, str(len(given)), tracker, f"{UNIT}{file.sha256[:16]}", str(self.limit)]
        try:
            run_fetching(remote, SCRIPT, words, given)
        except NotThisWay as reason:
            if str(reason) != NOT_INSTALLED:
                raise
            bring_program(remote)
            run_fetching(remote, SCRIPT, words, given)

    def end_fetching(self, remote: Remote) -> None:
        """Stops aria2 there, which removes it where it was not installed before."""
        remote.run(f"test ! -d /run/systemd/system || systemctl stop '{UNIT}*'")


def bring_program(remote: Remote) -> None:
    """Brings aria2 to a board whose apt has none, where a bundle has brought it here. Raises NotThisWay."""
    store = store_for(remote)
    if store is None:
        raise NotThisWay(NOT_INSTALLED)
    try:
        install_from_store(remote, ["aria2"], (), store)
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
def giver_of(limit: int) -> Giver:
    """The aria2 of this controller for hosts with that limit, started first. Raises NotThisWay."""
    giver = Giver(pace_of(limit))
    giver.start()
    return giver


@Once
def give_away(source: Path, sha256: str, limit: int) -> Path:
    """Starts to give a file to boards. Returns its torrent. Raises NotThisWay, OSError."""
    torrent = torrent_of(source, sha256)
    giver_of(limit).give(source, torrent.read_bytes(), f"http://127.0.0.1:{tracker_port()}/announce")
    return torrent
