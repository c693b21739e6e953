"""The names of boardllama.txt, and what the value of each must be."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from typing import NamedTuple

from ..spelling import nearest_name

KEY_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
GENERATE = "generate"
OPEN = "none"
DHCP = "dhcp"
HOSTNAME = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"  # RFC 1123, one label, in small letters
PASSWORD = r"[ -~]{8,63}|[0-9A-Fa-f]{64}"  # WPA: a passphrase, or the key itself
COUNTRY = r"[A-Z]{2}"  # ISO 3166-1
ZONE = r"[A-Za-z][A-Za-z0-9_+-]{0,40}(/[A-Za-z0-9_+-]{1,40}){0,2}"
# RFC 6750 allows these signs in a bearer token. None of them means anything to curl's or llama-server's key file.
API_KEY = r"[A-Za-z0-9._~+/=-]{8,1024}"
API_KEY_TEXT = f"{GENERATE}, or 8 to 1024 letters, digits or any of . _ ~ + / = -"


class Wrong(Exception):
    """The value breaks its rule. The message completes "name is value: …"."""


class NameRule(NamedTuple):
    """`value` gives the value as it will be used, or raises Wrong; `about` and `example` stand in the file.

    `pattern`: what every value matches that will be used.
    """

    value: Callable[[str], str]
    about: str
    example: str
    repeats: bool = False
    secret: bool = False
    pattern: str = ".+"


def valid_hostname(value: str) -> str:
    """The name in small letters. Raises Wrong."""
    name = value.lower()
    if not re.fullmatch(HOSTNAME, name) or name == "localhost" or name.isdigit():
        near = re.sub(r"[^a-z0-9]+", "-", name.split(".")[0]).strip("-")[:63]
        hint = f", such as {near}" if near and not near.isdigit() and near not in (name, "localhost") else ""
        raise Wrong(f"must be 1 to 63 letters, digits or hyphens, with no hyphen at an end, not digits alone{hint}")
    return name


def valid_ssh_key(value: str) -> str:
    """The line of a .pub file. Raises Wrong unless its base64 holds a whole key of the type before it."""
    if "PRIVATE KEY" in value:
        raise Wrong("this is a private key, which must never leave its machine: put in the line of the .pub file")
    kind, code, *comment = [*value.split(None, 2), "", ""][:3]
    if kind not in KEY_TYPES:
        raise Wrong("must be the one line of a .pub file; it begins with ssh-ed25519, ssh-rsa or ecdsa-sha2-…")
    try:
        inside = base64.b64decode(code, validate=True)
    except (binascii.Error, ValueError):
        raise Wrong("the key is damaged: copy the whole line of the .pub file again") from None
    if not is_whole(inside, kind.encode()):
        raise Wrong("the key is damaged or cut off: copy the whole line of the .pub file again")
    return " ".join([kind, code, *comment]).strip()


def is_whole(key: bytes, kind: bytes) -> bool:
    """Whether the fields of a public key end where the key ends. RFC 4253: 4 bytes of length, then so many bytes."""
    fields = []
    while len(key) >= 4:
        size = int.from_bytes(key[:4], "big")
        if len(key) < 4 + size:
            return False
        fields.append(key[4 : 4 + size])
        key = key[4 + size :]
    return not key and len(fields) > 1 and fields[0] == kind


def valid_wifi_ssid(value: str) -> str:
    """The name of a network, up to 32 bytes as IEEE 802.11 has it. Raises Wrong."""
    if not 1 <= len(value.encode()) <= 32 or not value.isprintable():
        raise Wrong("must be the name of a network, 1 to 32 bytes")
    return value


def valid_wifi_password(value: str) -> str:
    """The password, or `none` for an open network."""
    if value.lower() == OPEN:
        return OPEN
    if not re.fullmatch(PASSWORD, value):
        raise Wrong("must have 8 to 63 letters, digits or signs of English keyboards, or be none for an open network")
    return value


def valid_wifi_country(value: str) -> str:
    """The code in capital letters. Raises Wrong."""
    country = value.upper()
    if country == "UK":
        raise Wrong("the code of the United Kingdom is GB")
    if not re.fullmatch(COUNTRY, country):
        raise Wrong("must be the two letters of a country, such as DE, FR, GB, US")
    return country


def valid_address(value: str) -> str:
    """`dhcp`, or an address that a board can have, with its prefix. Raises Wrong."""
    if value.lower() == DHCP:
        return DHCP
    advice = "must be dhcp, or an address with its prefix, such as 192.168.1.20/24"
    if "/" not in value:
        raise Wrong(advice)
    try:
        own = ipaddress.ip_interface(value)
    except ValueError as error:
        raise Wrong(f"{advice} ({error})") from None
    if own.is_loopback or own.is_multicast or own.is_unspecified:
        raise Wrong("no board can have this address: take one of your network")
    if own.ip in end_addresses(own.network):
        raise Wrong(f"this is the first or last address of {own.network}, which no board can have")
    return str(own)


def end_addresses(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> tuple[object, ...]:
    """The first and last address of the network, which no machine can have; none of a network of one or two."""
    few = network.version == 6 or network.prefixlen > 30
    return () if few else (network.network_address, network.broadcast_address)


def valid_ip(value: str) -> str:
    """The address of a machine. Raises Wrong."""
    try:
        found = ipaddress.ip_address(value)
    except ValueError:
        raise Wrong("must be an IP address, such as 192.168.1.1") from None
    if found.is_unspecified or found.is_multicast:
        raise Wrong("no machine can have this address")
    return str(found)


def valid_dns(value: str) -> str:
    """The address of a name server. Raises Wrong, with advice for people who write two in a line."""
    if len(re.split(r"[\s,;]+", value)) > 1:
        raise Wrong("one address in a line: write another line with dns = for the next one")
    return valid_ip(value)


def valid_api_key(value: str) -> str:
    """The key, or `generate`: this rule holds for boardllama.txt and for the setting api_key."""
    if value.lower() == GENERATE:
        return GENERATE
    if not re.fullmatch(API_KEY, value):
        raise Wrong(f"must be {API_KEY_TEXT}")
    return value


def valid_timezone(value: str) -> str:
    """The name of a time zone that this machine knows, or could know where it has no list. Raises Wrong."""
    import zoneinfo  # no boot without a time zone waits for it

    try:
        # localtime: the board's own setting, where Debian has it among the names.
        if value == "localtime" or not re.fullmatch(ZONE, value):
            raise ValueError(value)
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = known_timezones()
        if known or not re.fullmatch(ZONE, value):
            raise Wrong(f"must be a name like {nearest_name(value, known) or 'Europe/Berlin'}") from None
    return value


@cache
def known_timezones() -> frozenset[str]:
    """The names that this machine knows; none on one without a list. To look for them takes a tenth of a second."""
    import zoneinfo

    return frozenset(zoneinfo.available_timezones())


NAMES: dict[str, NameRule] = {
    "hostname": NameRule(
        valid_hostname,
        "The board's name in the network. Without it: boardllama- and its number.",
        "kitchen",
        pattern=HOSTNAME,
    ),
    "ssh_key": NameRule(
        valid_ssh_key,
        "Who may log in as board@…: the line of a .pub file. A line for each; there is no password.",
        "ssh-ed25519 AAAAC3… you@laptop",
        repeats=True,
    ),
    "wifi_ssid": NameRule(
        valid_wifi_ssid, "Wi-Fi: the network's name, its password, and the country that the board is in.", "Home"
    ),
    "wifi_password": NameRule(
        valid_wifi_password,
        "The password; none: an open network.",
        "correct horse",
        secret=True,
        pattern=f"{OPEN}|{PASSWORD}",
    ),
    "wifi_country": NameRule(valid_wifi_country, "Two letters.", "DE", pattern=COUNTRY),
    "address": NameRule(valid_address, "dhcp, which is usual, or a fixed address with its prefix.", "192.168.1.20/24"),
    "gateway": NameRule(valid_ip, "For a fixed address: the router.", "192.168.1.1"),
    "dns": NameRule(valid_dns, "Who resolves names; a line for each.", "192.168.1.1", repeats=True),
    "api_key": NameRule(
        valid_api_key,
        f"The key that clients of the LLM server must send; {GENERATE}: made on the board.",
        GENERATE,
        secret=True,
        pattern=API_KEY,
    ),
    "timezone": NameRule(valid_timezone, "For the times in its log.", "Europe/Berlin"),
}


def find_conflicts(values: Mapping[str, str], kept: Collection[str] = ()) -> Iterator[tuple[str, str, str]]:
    """Names that cannot be used because of another name, that other name, and why. `kept`: secrets applied before."""
    own, gateway = values.get("address"), values.get("gateway")
    if gateway and own in (None, DHCP):
        text = "gateway is for a fixed address: set address, such as 192.168.1.20/24, or take gateway away"
        yield "gateway", "address", text
    elif gateway and own and not is_neighbour(gateway, own):
        network = ipaddress.ip_interface(own).network
        yield "gateway", "address", f"gateway is {gateway}: must be another address of {network}, where the board is"
    if "wifi_password" in values and "wifi_ssid" not in values:
        yield "wifi_password", "wifi_ssid", "wifi_password is there without wifi_ssid: name the network too"
    if "wifi_ssid" in values and "wifi_password" not in {*values, *kept}:
        text = "wifi_ssid is there without wifi_password: write it, or none for an open network"
        yield "wifi_ssid", "wifi_password", text


def is_neighbour(gateway: str, own: str) -> bool:
    """Whether a board with the address `own` reaches the gateway directly."""
    board, router = ipaddress.ip_interface(own), ipaddress.ip_address(gateway)
    local = router.version == board.version == 6 and router.is_link_local
    return local or (router in board.network and router not in (board.ip, *end_addresses(board.network)))
