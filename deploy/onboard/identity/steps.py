"""What each name of boardllama.txt changes on this board. Every step can be repeated, and each file appears whole."""

import base64
import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import places
from ..files import link, write
from ..server.config import ConfigError, exposure, first_key, with_defaults
from ..server.config import read as read_config
from .boardllama_txt import Identity
from .host_names import default_name, hosts_with
from .network import networkd, supplicant
from .rules import GENERATE, NAMES, Wrong

SERVICE_GROUP = "ollama"
# What an image is called before it is anyone's board.
NAMELESS = ("", "boardllama", "localhost", "debian")
NETWORK = frozenset({"address", "gateway", "dns", "wifi_ssid", "wifi_password"})
# Names that say nothing about the network. One that nobody knows may be meant for it.
ELSEWHERE = frozenset(NAMES) - NETWORK
ZONES = Path("/usr/share/zoneinfo")
# The identity, and whether it is all that the file was to say. Of a file with mistakes nothing is taken to be absent on
# purpose: what it does not say stays as it is.
Step = Callable[[Identity, bool], None]


def applied() -> Any:
    """The file that was applied last: its hash, and what was wrong with it."""
    try:
        found = json.loads(places.APPLIED.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and {"sha256", "problems"} <= found.keys() else {}


def left_out(identity: Identity) -> list[str]:
    """What this board, as it is, needs besides. Known before the first step, for it is a mistake like any other."""
    try:
        wireless(identity)
    except Wrong as error:
        return [str(error)]
    except (OSError, ValueError):  # the step will say so
        pass
    return []


def usable(identity: Identity) -> Identity:
    """Without the network, when there is a mistake in a line of it, or in a name: it is one thing.

    The address of one network is of no use in another. A password that waits for the mending of another line stays in
    the file. On a board to which no file has been applied yet, what is right is better than nothing.
    """
    torn = left_out(identity) or (identity.unclear - ELSEWHERE and applied())
    return identity.without(NETWORK) if torn else identity


def hostname(identity: Identity, _whole: bool) -> None:
    """The name that was chosen; or the default one, on a board that has none yet."""
    now = places.HOSTNAME.read_text().strip() if places.HOSTNAME.exists() else ""
    wanted = identity.hostname or (default_name() if now in NAMELESS else now)
    if wanted == now:
        return
    hosts = places.HOSTS.read_bytes() if places.HOSTS.exists() else b""
    # Comments in it may be of any encoding.
    write(places.HOSTS, hosts_with(wanted, hosts.decode(errors="surrogateescape")).encode(errors="surrogateescape"))
    write(places.HOSTNAME, f"{wanted}\n".encode())
    socket.sethostname(wanted)


def ssh_keys(identity: Identity, whole: bool) -> None:
    """Who may log in. A wrong line never locks out those who could: then nobody is removed."""
    path = places.AUTHORIZED_KEYS
    there = path.read_text().splitlines() if path.exists() else []
    keys = list(identity.ssh_keys) if whole else list(dict.fromkeys([*there, *identity.ssh_keys]))
    if keys != there:
        put(path, "".join(f"{key}\n" for key in keys) or None)


def network(identity: Identity, whole: bool) -> None:
    """Address, gateway, name servers, Wi-Fi. What is said of a Wi-Fi is harmless without one: nothing reads it."""
    parts = ((places.NETWORK, networkd(identity), 0o644), (places.WIFI, wireless(identity), 0o600))
    if whole or any(text for _, text, _ in parts):
        for path, text, mode in parts:
            put(path, text, mode)


def wireless(identity: Identity) -> str | None:
    """What the Wi-Fi is told. Raises Wrong where it needs a password that this board does not have."""
    return supplicant(identity, places.WIFI.read_text() if places.WIFI.exists() else "")


def api_key(identity: Identity, _whole: bool) -> None:
    """The key that was given; or one made here when that was asked for, by the file or by config.json."""
    wanted, there = identity.api_key, first_key()
    if wanted in (None, GENERATE):
        if there or not (wanted or needs_key()):
            return
        wanted = base64.b64encode(os.urandom(24)).decode()
    if wanted != there:
        write(places.API_KEY, f"{wanted}\n".encode(), 0o640, owner=lambda file: shutil.chown(file, group=SERVICE_GROUP))


def needs_key() -> bool:
    """Whether config.json would not let the server start without one, or an image left an empty file for it."""
    if places.API_KEY.exists():
        return True
    try:
        return bool(exposure(with_defaults(read_config(places.CONFIG))["server"], keyed=False))
    except (ConfigError, AttributeError, ValueError):
        return False


def timezone(identity: Identity, _whole: bool) -> None:
    """For the times in the journal."""
    if identity.timezone:
        link(places.LOCALTIME, ZONES / identity.timezone)
        write(places.TIMEZONE, f"{identity.timezone}\n".encode())


def put(path: Path, text: str | None, mode: int = 0o644) -> None:
    """The file with that text, or none."""
    if text is None:
        path.unlink(missing_ok=True)
    else:
        write(path, text.encode(), mode)


STEPS: tuple[tuple[str, Step], ...] = (
    ("the host name", hostname),
    ("the SSH keys", ssh_keys),
    ("the network", network),
    ("the API key", api_key),
    ("the time zone", timezone),
)
