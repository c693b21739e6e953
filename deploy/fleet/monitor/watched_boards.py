"""The boards as a monitor asks them: all of the inventory's, whichever of them a run is limited to."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pyinfra import inventory
from pyinfra.api.host import Host

from deploy.hosts.addresses import LOOPBACK, name_of, served_address
from deploy.hosts.target import role_settings_of
from deploy.onboard.server.config import host_port, is_local
from deploy.onboard.server.launch import alias_of
from deploy.settings import Settings

TARGETS = "targets"
# Groups that say what a host does in the deploy; the others say what kind of board it is.
ROLES = (TARGETS, "all", "builders", "gateways", "monitors", "channels")
EXPORTER_PORT = 9100


@dataclass(frozen=True)
class WatchedBoard:
    """`address`: where the monitor reaches the board; `port`: of its server, 0 for one that the monitor cannot reach.

    `keyed`: whether the server asks for a key. `exporter`: whether the board has one. `kind`: its group. `models`: the
    names of its models where it has several, each of which tells figures of its own.
    """

    name: str
    address: str
    port: int
    keyed: bool
    exporter: bool
    kind: str
    models: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """The board's name as the name of a file."""
        return quote(self.name, safe="@")

    @property
    def is_keyed(self) -> bool:
        """Whether the monitor needs a key to ask the server."""
        return self.keyed and self.port != 0

    def targets(self, job: str, port: int) -> list[dict[str, Any]]:
        """What Prometheus asks at that port, and the labels that it writes beside each value of the answer."""
        labels = {"job": job, "board": self.name, "kind": self.kind}
        # A label of this name is a word of the question: the front gives the figures of the model that is asked for.
        each = [{"model": name, "__param_model": name} for name in self.models if job == "llama"] or [{}]
        return [{"targets": [host_port(self.address, port)], "labels": labels | one} for one in each]

    def port_of(self, job: str) -> int:
        """Where the job finds the board by its file of targets; 0: not there."""
        if job == "llama":
            return 0 if self.keyed else self.port
        return EXPORTER_PORT if self.exporter else 0


def watched_boards(monitor: Host) -> list[WatchedBoard]:
    """The boards of the inventory, in its order. Raises DeployError for settings that are wrong."""
    return [watched_board(host, monitor) for host in inventory if TARGETS in host.groups]


def watched_board(host: Host, monitor: Host) -> WatchedBoard:
    """A board. A monitor on the same machine reaches also what listens on loopback alone."""
    settings, near = role_settings_of(host, Settings), name_of(host) == name_of(monitor)
    local = is_local(settings.server_host)
    address = LOOPBACK if near else served_address(host)
    port = settings.server_port if near or not local else 0
    keyed, models = settings.api_key is not None, names_of_models(settings)
    return WatchedBoard(host.name, address, port, keyed, settings.node_exporter, kind_group(host), models)


def names_of_models(settings: Settings) -> tuple[str, ...]:
    """The names under which the host's models are asked for; none for a host with one model."""
    each = list(settings.hosted.values())
    names = [str(one.alias or one.advised["alias"] or alias_of(one.model_name or "")) for one in each]
    return tuple(dict.fromkeys(names)) if len(each) > 1 else ()


def kind_group(host: Host) -> str:
    """The group that says what kind of board a host is; "" without such a group."""
    # pyinfra has all hosts in a group named as the inventory's file.
    kinds = [name for name in host.groups if name not in ROLES and len(inventory.groups[name]) < len(inventory)]
    return next(iter(kinds), "")


def target_groups(boards: Iterable[WatchedBoard], job: str) -> str:
    """The text of a file for Prometheus' file_sd: the servers that ask for no key (job "llama"), or the exporters.

    A server with a key stands in prometheus.yml itself, which alone can name the key's file.
    """
    groups = [one for board in boards if (port := board.port_of(job)) for one in board.targets(job, port)]
    return json.dumps(groups, indent=1) + "\n"
