"""What each name of boardllama.txt changes on this board. Every step can be repeated, and each file appears whole."""

import base64
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..files import replace_link, write_file
from ..json_parts import parse_json
from ..places import Places
from ..release.releases import current_release, services_of
from ..server.config import ConfigError, exposure_problems, first_key, read_config, with_defaults
from ..service import Service
from .boardllama_txt import Identity
from .host_names import default_name, hosts_with
from .network_stack import find_stack
from .rules import GENERATE, NAMES, Wrong

# Names that an image has before it becomes a board.
NAMELESS = ("", "boardllama", "localhost", "debian")
NETWORK = frozenset({"address", "gateway", "dns", "wifi_ssid", "wifi_password"})
# Names that are not about the network. An unknown name may be a misspelt name of the network.
ELSEWHERE = frozenset(NAMES) - NETWORK
ZONES = Path("/usr/share/zoneinfo")
# Takes the identity, and whether the file has no mistakes. With mistakes in it, a name may be absent by mistake: then
# what the file does not say stays as it is.
Step = Callable[[Identity, bool, Places], None]


def last_applied(places: Places) -> Any:
    """What places.applied notes of the file that was applied last: "sha256" and "problems"; empty without a note."""
    try:
        found = parse_json(places.applied.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and {"sha256", "problems"} <= found.keys() else {}


def unmet_needs(identity: Identity, places: Places) -> list[str]:
    """A sentence for what this board lacks besides the file. Told before any step, as a mistake in the file is."""
    try:
        find_stack(places).files(identity, places)
    except Wrong as error:
        return [str(error)]
    except (OSError, ValueError):  # the step will say so
        pass
    return []


def usable_part(identity: Identity, places: Places) -> Identity:
    """The identity; or the identity without its network names, when one of them, or an unknown name, has a mistake.

    The names of a network are used together or not at all: the address of one network is of no use in another. A
    password that waits for the mending of another line stays in the file. On a board to which no file has been applied
    yet, the names that are right are used all the same.
    """
    torn = unmet_needs(identity, places) or (identity.unclear - ELSEWHERE and last_applied(places))
    return identity.without(NETWORK) if torn else identity


def set_hostname(identity: Identity, _whole: bool, places: Places) -> None:
    """Sets the name that was chosen; on a board without a name, the default name."""
    now = places.hostname.read_text().strip() if places.hostname.exists() else ""
    wanted = identity.hostname or (default_name() if now in NAMELESS else now)
    if wanted == now:
        return
    hosts = places.hosts.read_bytes() if places.hosts.exists() else b""
    # Comments in it may be of any encoding.
    write_file(
        places.hosts, hosts_with(wanted, hosts.decode(errors="surrogateescape")).encode(errors="surrogateescape")
    )
    write_file(places.hostname, f"{wanted}\n".encode())
    socket.sethostname(wanted)


def set_ssh_keys(identity: Identity, whole: bool, places: Places) -> None:
    """Sets who may log in. A file with mistakes only adds keys: a wrong line must lock nobody out."""
    path = places.authorized_keys
    there = path.read_text().splitlines() if path.exists() else []
    keys = list(identity.ssh_keys) if whole else list(dict.fromkeys([*there, *identity.ssh_keys]))
    if keys != there:
        put_file(path, "".join(f"{key}\n" for key in keys) or None)


def set_network(identity: Identity, whole: bool, places: Places) -> None:
    """Sets address, gateway, name servers and Wi-Fi, through what runs this system's network."""
    stack = find_stack(places)
    files = stack.files(identity, places)
    if whole or any(file.text for file in files):
        for file in files:
            put_file(file.path, file.text, file.mode)
        stack.take_up(identity, places)


def set_api_key(identity: Identity, _whole: bool, places: Places) -> None:
    """Sets each service's key to the given one; or makes a key, where file or config ask for one and there is none."""
    for service in services_of(current_release(places)):
        set_key(service, identity.api_key)


def set_key(service: Service, wanted: str | None) -> None:
    """Writes the key of a service unless the service has it. `wanted`: GENERATE keeps any key that is there."""
    there = first_key(service.api_key)
    if wanted in (None, GENERATE):
        if there or not (wanted or needs_key(service)):
            return
        wanted = base64.b64encode(os.urandom(24)).decode()
    if wanted != there:
        secret = f"{wanted}\n".encode()
        write_file(service.api_key, secret, 0o640, owner=lambda file: shutil.chown(file, group=service.account))


def needs_key(service: Service) -> bool:
    """Whether its config would not let the server start without a key, or an image left an empty file for the key."""
    if service.api_key.exists():
        return True
    try:
        config = with_defaults(read_config(service.config), service)
        return bool(exposure_problems(config["server"], service, keyed=False))
    except (ConfigError, AttributeError, ValueError):
        return False


def set_timezone(identity: Identity, _whole: bool, places: Places) -> None:
    """Sets the time zone of the journal's times."""
    if identity.timezone:
        replace_link(places.localtime, ZONES / identity.timezone)
        write_file(places.timezone, f"{identity.timezone}\n".encode())


def put_file(path: Path, text: str | None, mode: int = 0o644) -> None:
    """Writes the file; removes it when the text is None."""
    if text is None:
        path.unlink(missing_ok=True)
    else:
        write_file(path, text.encode(), mode)


STEPS: tuple[tuple[str, Step], ...] = (
    ("the host name", set_hostname),
    ("the SSH keys", set_ssh_keys),
    ("the network", set_network),
    ("the API key", set_api_key),
    ("the time zone", set_timezone),
)
