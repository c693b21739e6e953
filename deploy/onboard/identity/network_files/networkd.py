"""What systemd-networkd and wpa_supplicant are told."""

from ...places import Places
from ..boardllama_txt import Identity
from ..rules import OPEN
from .config_file import HEADING, ConfigFile, asks_more_than_dhcp, fixed_address, secret_lines, text_if_any


def networkd_files(identity: Identity, places: Places) -> tuple[ConfigFile, ...]:
    """The files of both. Without a Wi-Fi card nothing reads the second one. Raises Wrong, OSError."""
    wifi = supplicant_config(identity, text_if_any(places.wifi))
    network = ConfigFile(places.network, networkd_config(identity), 0o644)
    return network, ConfigFile(places.network_before, None), ConfigFile(places.wifi, wifi)


def networkd_config(identity: Identity) -> str | None:
    """The text of a .network file; None when the identity asks for no more than the image has: DHCP on every card.

    A fixed address is the Wi-Fi's when the board has one, else the cable's: two cards cannot share it.
    """
    if not asks_more_than_dhcp(identity):
        return None
    address = fixed_address(identity)
    match = ["Type=wlan"] if identity.wifi_ssid else ["Type=ether", "Kind=!*"]
    lines = [HEADING, "[Match]", *match, "", "[Network]", f"Address={address}" if address else "DHCP=yes"]
    lines += [f"Gateway={identity.gateway}"] if identity.gateway else []
    lines += [f"DNS={server}" for server in identity.dns]
    lines += ["MulticastDNS=yes", ""]
    if not address:
        # DHCP's name servers would be asked beside the chosen ones. A way out by cable is faster than one by Wi-Fi.
        metric = ["RouteMetric=2048"] if identity.wifi_ssid else []
        lines += ["[DHCPv4]", "UseDNS=no", *metric, "", "[DHCPv6]", "UseDNS=no", ""]
        lines += ["[IPv6AcceptRA]", "UseDNS=no", *metric, ""]
    return "\n".join(lines)


def supplicant_config(identity: Identity, before: str = "") -> str | None:
    """The text of wpa_supplicant.conf(5); None without Wi-Fi. `before`: its text so far, for a password that is kept.

    Raises Wrong when the password that is kept is another network's.
    """
    if identity.wifi_ssid is None:
        return None
    # In hexadecimal digits any name is safe, quotation marks and all.
    ssid = f"\tssid={identity.wifi_ssid.encode().hex()}"
    lines = [HEADING, "ctrl_interface=/run/wpa_supplicant"]
    lines += [f"country={identity.wifi_country}"] if identity.wifi_country else []
    lines += ["network={", ssid, "\tscan_ssid=1"]
    lines += secret_lines(identity, before, ssid, ("\tpsk=", "\tkey_mgmt=", "\tieee80211w="), supplicant_secret)
    return "\n".join([*lines, "}", ""])


def supplicant_secret(password: str) -> list[str]:
    """The lines about a password. A passphrase serves WPA2 and WPA3; 64 digits are the key itself, which serves WPA2
    alone.

    Quotation marks in a passphrase need no escape: wpa_supplicant reads to the last quotation mark of the line.
    """
    if password == OPEN:
        return ["\tkey_mgmt=NONE"]
    if len(password) == 64:
        return [f"\tpsk={password}", "\tkey_mgmt=WPA-PSK WPA-PSK-SHA256"]
    return [f'\tpsk="{password}"', "\tkey_mgmt=WPA-PSK WPA-PSK-SHA256 SAE", "\tieee80211w=1"]
