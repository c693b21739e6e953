"""What NetworkManager is told: connection profiles as key files, nm-settings-keyfile(5).

A profile of ours is taken before every other of the same kind, by its priority: those of the vendor stay as they are.
"""

import ipaddress

from ...places import Places
from ..boardllama_txt import Identity
from ..rules import OPEN
from .config_file import HEADING, ConfigFile, asks_more_than_dhcp, fixed_address, secret_lines, text_if_any

# NetworkManager knows a profile by its id: these stay the same whatever the profile says.
CABLE_UUID, WIFI_UUID = "b0a4d11a-0000-4000-8000-0000000000c1", "b0a4d11a-0000-4000-8000-0000000000c2"
PRIORITY = 100


def manager_files(identity: Identity, places: Places) -> tuple[ConfigFile, ...]:
    """The profiles of cable and Wi-Fi, and the country for the kernel. Raises Wrong, OSError."""
    country = f"options cfg80211 ieee80211_regdom={identity.wifi_country}\n" if identity.wifi_country else None
    return (
        ConfigFile(places.manager_cable, cable_profile(identity)),
        ConfigFile(places.manager_wifi, wifi_profile(identity, text_if_any(places.manager_wifi))),
        ConfigFile(places.regulatory, country, 0o644),
    )


def cable_profile(identity: Identity) -> str | None:
    """The profile of a cable; None where NetworkManager's own DHCP on every cable is enough."""
    if identity.wifi_ssid or not asks_more_than_dhcp(identity):
        return None
    # DHCP with name servers of one's own holds for every cable; an address is one cable's.
    several = [] if fixed_address(identity) else ["multi-connect=3"]
    return "\n".join([*profile_head("cable", "ethernet", CABLE_UUID), *several, *profile_addresses(identity), ""])


def wifi_profile(identity: Identity, before: str = "") -> str | None:
    """The profile of the Wi-Fi; None without one. `before`: its text so far, for a password that is kept.

    Raises Wrong when the password that is kept is another network's.
    """
    if identity.wifi_ssid is None:
        return None
    # As numbers of bytes any name is safe.
    ssid = f"ssid={''.join(f'{byte};' for byte in identity.wifi_ssid.encode())}"
    lines = [*profile_head("wifi", "wifi", WIFI_UUID), "", "[wifi]", "mode=infrastructure", "hidden=true", ssid]
    lines += secret_lines(identity, before, ssid, ("[wifi-security]", "key-mgmt=", "psk="), profile_secret)
    return "\n".join([*lines, *profile_addresses(identity), ""])


def profile_head(name: str, kind: str, uuid: str) -> list[str]:
    """The head of a profile. mdns=2: the board is found as NAME.local, where systemd-resolved says its name."""
    head = ["[connection]", f"id=boardllama-{name}", f"uuid={uuid}", f"type={kind}"]
    return [HEADING, *head, f"autoconnect-priority={PRIORITY}", "mdns=2"]


def profile_secret(password: str) -> list[str]:
    """The lines about a password; wpa-psk serves WPA2 and WPA3. Key files lose blanks at ends, and read backslashes."""
    if password == OPEN:
        return []
    escaped = password.replace("\\", "\\\\").replace(" ", "\\s")
    return ["[wifi-security]", "key-mgmt=wpa-psk", f"psk={escaped}"]


def profile_addresses(identity: Identity) -> list[str]:
    """The sections [ipv4] and [ipv6]. A fixed address of version 6 leaves a board without version 4."""
    address = fixed_address(identity)
    version = ipaddress.ip_interface(address).version if address else 0
    other = {4: "disabled" if version == 6 else "auto", 6: "auto"}
    lines = []
    for family in (4, 6):
        lines += ["", f"[ipv{family}]"]
        if family == version:
            router = f",{identity.gateway}" if identity.gateway else ""
            lines += ["method=manual", f"address1={address}{router}"]
        else:
            lines.append(f"method={other[family]}")
        # A section that is disabled with a name server in it makes the whole profile void.
        servers = [one for one in identity.dns if ipaddress.ip_address(one).version == family]
        if lines[-1] != "method=disabled":
            lines += [f"dns={''.join(f'{one};' for one in servers)}"] if servers else []
            lines += ["ignore-auto-dns=true"] if identity.dns else []
    return lines
