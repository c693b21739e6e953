"""An address that the gateways of an inventory share, by keepalived (VRRP): one that serves has it.

A gateway serves while systemd has haproxy running. haproxy listens on all addresses, so it needs no word of a move.
"""

import zlib
from dataclasses import dataclass
from ipaddress import ip_address

from pyinfra import host
from pyinfra.api import FactBase, operation
from pyinfra.api.host import Host

from deploy.controller.templates import render_template
from deploy.errors import BoardllamaError
from deploy.fleet.gateway.gateway_settings import GatewaySettings
from deploy.hosts.addresses import addresses_elsewhere
from deploy.hosts.facts.target import shell_words
from deploy.hosts.lock import TargetStep
from deploy.hosts.packages import debian_packages
from deploy.hosts.release import sha256_hex
from deploy.hosts.remote import Commands, Remote, refuse
from deploy.hosts.snapshot import snapshot_of
from deploy.hosts.text_files import TextFile, text_files
from deploy.onboard.gateway.gateway_places import SHARED_LOADED, SHARED_UNIT
from deploy.onboard.json_parts import parse_json

CONF = "/etc/keepalived/keepalived.conf"
JUDGE = "keepalived --config-test --use-file"
CHECK = "/usr/bin/systemctl --quiet is-active haproxy.service"


@dataclass(frozen=True)
class Route:
    """By which interface a gateway reaches the others, and with which address of its own."""

    interface: str
    own: str


class RouteTo(FactBase[Route | None]):
    """The route to an address, as the kernel would take it; None without one: Route("eth0", "192.0.2.7")."""

    @staticmethod
    def default() -> None:
        return None

    def command(self, address: str) -> str:
        return f"ip -json route get {shell_words([address])} 2>/dev/null; true"

    def process(self, output: list[str]) -> Route | None:
        routes = parse_json("".join(output) or "[]")
        return Route(str(routes[0]["dev"]), str(routes[0]["prefsrc"])) if routes else None


def peers_of(gateway: Host, address: str) -> list[str]:
    """The addresses of the inventory's other gateways, of the shared address' family.

    Raises BoardllamaError where there is none.
    """
    version = ip_address(address).version
    found = [one for one in addresses_elsewhere(gateway, "gateways") if ip_address(one).version == version]
    if not found:
        raise BoardllamaError(
            f"gateway_address is {address}: it is for gateways that reach each other by IPv{version}, and this one "
            "has no other; name another one in the group gateways, or leave gateway_address empty"
        )
    return found


def keepalived_text(address: str, route: Route, peers: list[str], check: str = CHECK) -> str:
    """keepalived.conf. `check`: a command that succeeds while the gateway serves."""
    ranked = sorted([route.own, *peers], key=ip_address_key)
    return render_template(
        "keepalived.conf",
        address=address,
        interface=route.interface,
        own=route.own,
        peers=sorted(peers, key=ip_address_key),
        # Any number from 1 to 255 that all gateways of the address find.
        number=zlib.crc32(str(ip_address(address)).encode()) % 255 + 1,
        priority=200 - ranked.index(route.own),
        check=check,
    )


def ip_address_key(address: str) -> int:
    """Addresses of one family in their order."""
    return int(ip_address(address))


def configure_shared_address(settings: GatewaySettings) -> None:
    """Has the gateway share gateway_address with the inventory's others, or share none."""
    if settings.gateway_address:
        debian_packages(name="Install keepalived", names=("keepalived",), units=(SHARED_UNIT,))
        write_conf(name="Write how the address is shared", settings=settings)
    share_address(name="Have keepalived share the address", wanted=bool(settings.gateway_address))


@operation()
def write_conf(settings: GatewaySettings) -> Commands:
    """keepalived.conf of this gateway; keepalived judges it before it replaces another."""
    try:
        peers = peers_of(host, settings.gateway_address)
    except BoardllamaError as error:
        yield refuse(error)
        return
    route = host.get_fact(RouteTo, address=peers[0])
    if route is None:
        yield refuse(f"this gateway has no route to {peers[0]}, with which it is to share gateway_address")
        return
    text = keepalived_text(settings.gateway_address, route, peers)
    # The name that pyinfra gives to an operation inside of another one.
    yield from text_files._inner((TextFile(CONF, text, before=JUDGE),), conflict=settings.config_conflict)


@operation()
def share_address(wanted: bool) -> Commands:
    """Has keepalived run with its file, or no more. No change when it does."""
    snapshot = snapshot_of(host, CONF, SHARED_LOADED)
    there, loaded = snapshot.texts.get(CONF), snapshot.texts.get(SHARED_LOADED)
    unit = snapshot.units.get(SHARED_UNIT)
    runs = unit and unit.active and there and loaded and loaded.content.decode().strip() == sha256_hex(there.content)
    if wanted and not runs:
        yield TargetStep(run_keepalived)
    elif not wanted and loaded:
        yield TargetStep(end_keepalived)


def run_keepalived(remote: Remote) -> None:
    """Starts keepalived, or has it read its file. Raises RemoteCommandFailed."""
    start = f"systemctl enable -q {SHARED_UNIT} && systemctl reload-or-restart {SHARED_UNIT}"
    remote.run(f"{start} && sha256sum <{CONF} | cut -c -64 >{SHARED_LOADED}")


def end_keepalived(remote: Remote) -> None:
    """Gives the address up. Raises RemoteCommandFailed."""
    remote.run(f"systemctl disable -q --now {SHARED_UNIT} && rm -f {SHARED_LOADED}")
