"""What a board reaches of its network: its cards and addresses, the router, name servers. No privileges needed."""

import errno
import os
import re
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path

from ..commands import run_command
from ..json_parts import parse_json
from .looks import values_from

DEADLINE = 10.0
# Seconds. The kernel gives up an unknown neighbour after three seconds, a known neighbour after eight.
NEIGHBOUR_SECONDS = 4.0
KNOWN_SECONDS = 6.0
DNS_SECONDS = 2.0
DNS_PORT, WEB_PORT = 53, 80
ANSWERED = {"REACHABLE", "PERMANENT", "NOARP"}
ASKED = {"STALE", "DELAY", "PROBE"}


def network_cards(sys: Path = Path("/sys/class/net")) -> list[tuple[str, bool, bool, tuple[str, ...]]]:
    """Name, whether it is Wi-Fi, whether it has a link, and addresses of each real network card. Raises OSError."""
    shown = parse_json(run_command("ip", "-json", "address", "show", deadline=DEADLINE))
    found = []
    for row in shown:
        path = sys / row.get("ifname", "")
        if row.get("ifname") and (path / "device").exists():
            addresses = tuple(one["local"] for one in row.get("addr_info", ()) if not is_link_local(one))
            found.append((path.name, (path / "wireless").exists(), "LOWER_UP" in row.get("flags", ()), addresses))
    return found


def is_link_local(address: dict[str, object]) -> bool:
    """Whether the address says nothing of the network: IPv6 gives every card an address of the link."""
    return (address.get("scope") == "link" and address.get("family") == "inet6") or "local" not in address


def default_gateway() -> str:
    """The address of the router. Raises LookupError without a default route."""
    for found in values_from(default_routes, ("-4", "-6")):
        for route in found:
            if "gateway" in route:
                return str(route["gateway"])
    raise LookupError("no default route")


def default_routes(family: str) -> list[dict[str, object]]:
    """The rows of `ip route show default` for "-4" or "-6". Raises OSError for a family that is switched off."""
    return list(parse_json(run_command("ip", "-json", family, "route", "show", "default", deadline=DEADLINE) or "[]"))


def answers_arp(address: str) -> bool:
    """Whether the machine at the address is there. It may refuse connections, as long as it is found on the wire."""
    with suppress(TimeoutError):
        for port in (WEB_PORT, DNS_PORT):
            try:
                with socket.create_connection((address, port), timeout=NEIGHBOUR_SECONDS):
                    return True
            except ConnectionRefusedError:
                return True
            except OSError as error:
                # A firewall answers so, too.
                if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
                    break
                raise
    end = time.monotonic() + KNOWN_SECONDS
    while (states := neighbour_states(address)) & ASKED and time.monotonic() < end:
        time.sleep(0.5)
    return bool(states & ANSWERED)


def neighbour_states(address: str) -> set[str]:
    """The address's states in the kernel's table of neighbours, ip-neighbour(8); empty when it is not in it."""
    shown = parse_json(run_command("ip", "-json", "neighbour", "show", "to", address, deadline=DEADLINE) or "[]")
    return {state for row in shown for state in row.get("state", ())}


def answers_dns(server: str) -> bool:
    """Whether the server answers a question for the name servers of the root, with whatever answer."""
    number = os.urandom(2)
    question = number + struct.pack(">HHHHH", 0x0100, 1, 0, 0, 0) + b"\0" + struct.pack(">HH", 2, 1)  # NS, IN
    with suppress(OSError):
        family, kind, _, _, place = socket.getaddrinfo(server, DNS_PORT, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as asking:
            asking.settimeout(DNS_SECONDS)
            asking.sendto(question, place)
            return asking.recv(512)[:2] == number
    return False


def name_servers(etc: Path = Path("/etc/resolv.conf"), run: Path = Path("/run/systemd/resolve")) -> tuple[str, ...]:
    """Addresses of the name servers; behind systemd-resolved, whose own address is 127.0.0.53, those that it asks."""
    for file in (etc, run / "resolv.conf"):
        with suppress(OSError):
            found = re.findall(r"^nameserver\s+(\S+)", file.read_text(), re.MULTILINE)
            if found and not found[0].startswith("127.0.0."):
                return tuple(found)
    return ()
