"""Where a host of the inventory is reached by other hosts. It holds for hosts that a run leaves out, too."""

import socket
from contextlib import suppress
from functools import cache
from ipaddress import ip_address

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
    """The IP addresses at which the host sees all hosts in these groups of its inventory. Raises BoardllamaError."""
    members = [one for group in groups for one in host.state.inventory.groups.get(group, [])]
    return sorted({address for one in members for address in addresses_seen(one, host)})


def addresses_seen(other: Host, host: Host) -> tuple[str, ...]:
    """The IP addresses from which the other host's connections come to the host.

    Where the other is this computer, it is the one that the kernel would take for the way. Raises BoardllamaError.
    """
    found = addresses_of(other)
    if beyond := tuple(address for address in found if not ip_address(address).is_loopback):
        return beyond
    if is_loopback(served_address(host)):
        return found
    if issubclass(other.connector_cls, LocalConnector):
        return own_addresses(served_address(host))
    raise BoardllamaError(
        f"{other.name} is {', '.join(found)} here, which other hosts do not see: name it @local if it is this "
        "computer, else set `ssh_hostname` among its data to the address that boards see"
    )


def is_loopback(name: str) -> bool:
    """Whether a name or address means whichever computer uses it. Raises BoardllamaError for a name without address."""
    return all(ip_address(address).is_loopback for address in resolved_addresses(name))


def own_addresses(destination: str) -> tuple[str, ...]:
    """This computer's own addresses on the ways to that host, to which nothing is sent. Raises BoardllamaError."""
    found = set()
    for address in resolved_addresses(destination):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as way:
            way.connect((address, 9))
            found.add(str(way.getsockname()[0]))
    if not found:
        raise BoardllamaError(f"this computer has no route to {destination}, which must let it in: give it one")
    return tuple(sorted(found))


def addresses_elsewhere(host: Host, group: str) -> list[str]:
    """The IP addresses of the group's hosts that are other machines than the host. Raises BoardllamaError."""
    others = [one for one in host.state.inventory.groups.get(group, []) if name_of(one) != name_of(host)]
    return sorted({address for one in others for address in addresses_seen(one, host)})
