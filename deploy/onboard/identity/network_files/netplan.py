"""What netplan is told: one file of YAML, from which netplan writes what systemd-networkd or NetworkManager reads.

The vendor's own files stay as they are. Of two definitions that fit a network card, systemd-networkd takes the first by
name and NetworkManager the one of higher priority: ours has both.
"""

import ipaddress
import json

from ...places import Places
from ..boardllama_txt import Identity
from ..rules import OPEN
from .config_file import HEADING, ConfigFile, asks_more_than_dhcp, fixed_address, secret_lines, text_if_any
from .network_manager import PRIORITY

NAME = "00-boardllama"


def netplan_files(identity: Identity, places: Places, card: str) -> tuple[ConfigFile, ...]:
    """The file. `card`: the name of the Wi-Fi card, which netplan must be told. Raises Wrong, OSError."""
    by_manager = places.manager_enabled.is_symlink()
    return (ConfigFile(places.netplan, netplan_config(identity, card, by_manager, text_if_any(places.netplan))),)


def netplan_config(identity: Identity, card: str, by_manager: bool, before: str = "") -> str | None:
    """The text; None when the identity asks for no more than DHCP on a cable. `before`: its text so far.

    `by_manager`: whether NetworkManager, and not systemd-networkd, does what netplan says. Raises Wrong when the
    password that is kept is another network's.
    """
    lines = [HEADING, "network:", "  version: 2"]
    if identity.wifi_ssid:
        return "\n".join([*lines, "  wifis:", f"    {card}:", *netplan_wifi(identity, by_manager, before), ""])
    if asks_more_than_dhcp(identity):
        more = netplan_priority() if by_manager else []
        cable = ["  ethernets:", f"    {NAME}:", '      match: {name: "e*"}']
        return "\n".join([*lines, *cable, *netplan_addresses(identity, by_manager), *more, ""])
    return None


def netplan_wifi(identity: Identity, by_manager: bool, before: str) -> list[str]:
    """The definition of the Wi-Fi. JSON's strings are YAML's, too."""
    ssid = f"        {quoted(identity.wifi_ssid or '')}:"
    secret = secret_lines(identity, before, ssid, ("          auth:",), netplan_secret)
    country = [f"      regulatory-domain: {quoted(identity.wifi_country)}"] if identity.wifi_country else []
    names = ["      access-points:", ssid, "          hidden: true", *secret]
    return [*netplan_addresses(identity, by_manager), *country, *names]


def netplan_secret(password: str) -> list[str]:
    """The line about a password; none for an open network."""
    if password == OPEN:
        return []
    return [f"          auth: {{key-management: psk, password: {quoted(password)}}}"]


def netplan_addresses(identity: Identity, by_manager: bool) -> list[str]:
    """How the card gets its address, and who resolves names.

    Beside a fixed address NetworkManager takes no name server of the other version of IP: the whole profile is void.
    """
    address = fixed_address(identity)
    servers = [one for one in identity.dns if not (by_manager and address) or is_of_version(one, address)]
    lines = [f"      dhcp4: {'false' if address else 'true'}"]
    lines += [f"      addresses: [{quoted(address)}]"] if address else []
    lines += [f"      routes: [{{to: default, via: {quoted(identity.gateway)}}}]"] if identity.gateway else []
    if servers:
        lines.append(f"      nameservers: {{addresses: [{', '.join(map(quoted, servers))}]}}")
        lines += [] if address else ["      dhcp4-overrides: {use-dns: false}"]
    return lines


def is_of_version(server: str, address: str) -> bool:
    return ipaddress.ip_address(server).version == ipaddress.ip_interface(address).version


def netplan_priority() -> list[str]:
    """What NetworkManager needs to take this definition before others. For systemd-networkd they are a mistake."""
    priority = f'          connection.autoconnect-priority: "{PRIORITY}"'
    return ["      renderer: NetworkManager", "      networkmanager:", "        passthrough:", priority]


def quoted(text: str) -> str:
    """A string of YAML."""
    return json.dumps(text, ensure_ascii=False)
