"""Which programs run the network of this system, learned by looking; and how each of them is given its files."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..commands import ProgramFailed, run_command
from ..files import write_file
from ..places import Places
from .boardllama_txt import Identity
from .network_files.config_file import ConfigFile
from .network_files.netplan import netplan_files
from .network_files.network_manager import manager_files
from .network_files.networkd import networkd_files

WPA_UNITS = Path("/run/systemd/system")
# Seconds. netplan has systemd read all units again, which takes a busy board of one slow core half a minute.
GENERATE_DEADLINE = 90.0


class NetworkStack(NamedTuple):
    """`files`: what the files must be for an identity. `take_up`: has files that are there obeyed in this boot."""

    files: Callable[[Identity, Places], tuple[ConfigFile, ...]]
    take_up: Callable[[Identity, Places], None]


def find_stack(places: Places) -> NetworkStack:
    """What this system has: netplan where a file of netplan rules, else NetworkManager where enabled, else networkd."""
    if places.netplan_program.exists() and any(rules_by_netplan(places)):
        return NetworkStack(lambda told, there: netplan_files(told, there, wifi_card()), take_up_netplan)
    if places.manager_enabled.is_symlink():
        return NetworkStack(manager_files, take_up_manager)
    return NetworkStack(networkd_files, lambda _identity, _places: None)


def rules_by_netplan(places: Places) -> list[Path]:
    """The vendor's files of netplan, wherever netplan reads them."""
    folders = (places.netplan.parent, places.netplan_defaults, places.netplan_runtime)
    return [path for folder in folders for path in folder.glob("*.yaml") if path != places.netplan]


def wifi_card(net: Path = Path("/sys/class/net")) -> str:
    """The name of the Wi-Fi card; the kernel's first name for one where there is none yet."""
    return min((path.parent.name for path in net.glob("*/wireless")), default="wlan0")


def take_up_netplan(identity: Identity, _places: Places) -> None:
    """Has netplan write what its generator would write at the next boot, for programs that start after this one."""
    run_command("netplan", "generate", deadline=GENERATE_DEADLINE)
    if identity.wifi_ssid:
        unblock_wifi()
        # Units of wpa_supplicant that did not exist when this boot was planned.
        run_command("systemctl", "daemon-reload")
        for unit in sorted(WPA_UNITS.glob("netplan-wpa-*.service")):
            run_command("systemctl", "start", "--no-block", unit.name)


def take_up_manager(identity: Identity, places: Places) -> None:
    """NetworkManager starts later and reads its files then. Raspberry Pi OS has it keep Wi-Fi switched off."""
    if not identity.wifi_ssid:
        return
    unblock_wifi()
    if places.manager_state.exists():
        state = places.manager_state.read_text()
        if "WirelessEnabled=false" in state:
            write_file(places.manager_state, state.replace("WirelessEnabled=false", "WirelessEnabled=true").encode())


def unblock_wifi() -> None:
    """Switches on a Wi-Fi card that a board's firmware or its vendor starts switched off."""
    with suppress(ProgramFailed, FileNotFoundError):
        run_command("rfkill", "unblock", "wlan")
