"""A file that tells a system its network, and the password of a Wi-Fi that such a file keeps."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..boardllama_txt import Identity
from ..rules import DHCP, Wrong

HEADING = "# Made at boot from boardllama.txt; edits are lost when that file changes."


class ConfigFile(NamedTuple):
    """A file as it must be. `text`: None where there must be no such file."""

    path: Path
    text: str | None
    mode: int = 0o600


def fixed_address(identity: Identity) -> str | None:
    """The address with its prefix; None for a board that asks DHCP."""
    return None if identity.address == DHCP else identity.address


def asks_more_than_dhcp(identity: Identity) -> bool:
    """Whether an address or a name server was chosen."""
    return bool(fixed_address(identity) or identity.dns)


def text_if_any(path: Path) -> str:
    """The text of a file; "" without the file. Raises OSError."""
    return path.read_text() if path.exists() else ""


def secret_lines(
    identity: Identity, before: str, ssid: str, beginnings: tuple[str, ...], fresh: Callable[[str], list[str]]
) -> list[str]:
    """The lines about the Wi-Fi's password: `fresh` of the password, or those of the text before.

    A password that the board has taken over is in no boardllama.txt any more. `ssid`: the line that names the network;
    `beginnings`: of the lines about the password. Raises Wrong when the password that is kept is another network's.
    """
    if identity.wifi_password:
        return fresh(identity.wifi_password)
    if ssid in before.splitlines():
        return [line for line in before.splitlines() if line.startswith(beginnings)]
    raise Wrong(f"wifi_ssid is {identity.wifi_ssid!r}, another network than before: write its wifi_password too")
