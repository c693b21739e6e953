"""The boards as a monitor asks them: all of the inventory's, whichever of them a run is limited to."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from pyinfra import inventory
from pyinfra.api.host import Host

from deploy.hosts.addresses import LOOPBACK, name_of, served_address
from deploy.hosts.target import role_settings_of
from deploy.onboard.server.config import host_port, is_local
from deploy.settings import Settings

TARGETS = "targets"
# Groups that say what a host does in the deploy; the others say what kind of board it is.
ROLES = (TARGETS, "all", "builders", "gateways", "monitors", "channels")
EXPORTER_PORT = 9100


@dataclass(frozen=True)
class WatchedBoard:
    """`address`: where the monitor reaches the board; `port`: of its server, 0 for one that the monitor cannot reach.

    `keyed`: whether the server asks for a key. `exporter`: whether the board has one. `kind`: its group.
    """

    name: str
    address: str
    port: int
    keyed: bool
    exporter: bool
    kind: str

    @property
    def file_name(self) -> str:
        """The board's name as the name of a file."""
        return quote(self.name, safe="@")

    @property
    def is_keyed(self) -> bool:
        """Whether the monitor needs a key to ask the server."""
        return self.keyed and self.port != 0

    def labels(self, job: str) -> dict[str, str]:
        """What Prometheus writes beside each value."""
        return {"job": job, "board": self.name, "kind": self.kind}

    def port_of(self, job: str) -> int:
        """Where the job finds the board by its file of targets; 0: not there."""
        if job == "llama":
            return 0 if self.keyed else self.port
        return EXPORTER_PORT if self.exporter else 0

    def asked_at(self, port: int) -> str:
        """An address of the board as Prometheus writes it."""
        return host_port(self.address, port)


def watched_boards(monitor: Host) -> list[WatchedBoard]:
    """The boards of the inventory, in its order. Raises DeployError for settings that are wrong."""
    return [watched_board(host, monitor) for host in inventory if TARGETS in host.groups]


def watched_board(host: Host, monitor: Host) -> WatchedBoard:
    """A board. A monitor on the same machine reaches also what listens on loopback alone."""
    settings, near = role_settings_of(host, Settings), name_of(host) == name_of(monitor)
    local = is_local(settings.server_host)
    address = LOOPBACK if near else served_address(host)
    port = settings.server_port if near or not local else 0
    return WatchedBoard(
        host.name, address, port, settings.api_key is not None, settings.node_exporter, kind_group(host)
    )


def kind_group(host: Host) -> str:
    """The group that says what kind of board a host is; "" without such a group."""
    # pyinfra has all hosts in a group named as the inventory's file.
    kinds = [name for name in host.groups if name not in ROLES and len(inventory.groups[name]) < len(inventory)]
    return next(iter(kinds), "")


def target_groups(boards: Iterable[WatchedBoard], job: str) -> str:
    """The text of a file for Prometheus' file_sd: the servers that ask for no key (job "llama"), or the exporters.

    A server with a key stands in prometheus.yml itself, which alone can name the key's file.
    """
    ports = {board: board.port_of(job) for board in boards}
    groups = [{"targets": [board.asked_at(port)], "labels": board.labels(job)} for board, port in ports.items() if port]
    return json.dumps(groups, indent=1) + "\n"
