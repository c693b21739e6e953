"""Where a host of the inventory is reached by other hosts. It holds for hosts that a run leaves out, too."""

import socket
from functools import cache

from pyinfra.api.host import Host
from pyinfra.connectors.local import LocalConnector

from deploy.errors import BoardllamaError

LOOPBACK = "127.0.0.1"


def name_of(host: Host) -> str:
    """The name or address by which the controller reaches the host."""
    if issubclass(host.connector_cls, LocalConnector):
        return LOOPBACK
    return str(host.data.get("ssh_hostname") or host.name.rpartition("/")[2])


def served_address(host: Host) -> str:
    """Where other hosts ask a board's server: at what its settings say, or where the controller reaches the board."""
    return str(host.data.get("server_address") or name_of(host))


def addresses_of(host: Host) -> tuple[str, ...]:
    """The IP addresses of that name. Raises BoardllamaError for a name that the controller does not know."""
    return resolved_addresses(name_of(host))


@cache
def resolved_addresses(name: str) -> tuple[str, ...]:
    """The IP addresses of a name, in their order. Raises BoardllamaError."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise BoardllamaError(
            f"{name} has no address here ({error.strerror or error}): give it one in the DNS, or `ssh_hostname` among "
            "the host's data"
        ) from None
    # An address of one link alone ("fe80::1%eth0") means nothing on another host.
    return tuple(sorted({str(row[4][0]) for row in found if "%" not in str(row[4][0])}))


def addresses_of_groups(host: Host, *groups: str) -> list[str]:
    """The IP addresses of all hosts in these groups of the host's inventory. Raises BoardllamaError."""
    members = [one for group in groups for one in host.state.inventory.groups.get(group, [])]
    return sorted({address for one in members for address in addresses_of(one)})
