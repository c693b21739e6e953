"""What NetworkManager and netplan are told; both texts were read by the programs of Debian 13 when they were chosen."""

import pytest
import yaml

from deploy.onboard.identity.boardllama_txt import Identity, identity_of
from deploy.onboard.identity.network_files.netplan import netplan_config
from deploy.onboard.identity.network_files.network_manager import cable_profile, wifi_profile
from deploy.onboard.identity.rules import Wrong

FIXED = (("address", "192.168.1.20/24"), ("gateway", "192.168.1.1"), ("dns", "9.9.9.9"), ("dns", "fd00::53"))
HOME = (("wifi_ssid", "Home"), ("wifi_password", "correct horse"))


def sections(text: str) -> dict[str, dict[str, str]]:
    """The keys of a key file, by section."""
    found = dict[str, dict[str, str]]()
    for line in text.splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif "=" in line:
            key, value = line.split("=", 1)
            section[key] = value
    return found


def profile(*values: tuple[str, str]) -> dict[str, dict[str, str]]:
    identity = identity_of(*values)
    return sections(cable_profile(identity) or wifi_profile(identity) or "")


def netplan(*values: tuple[str, str], by_manager: bool = False) -> dict[str, dict[str, object]]:
    """The definitions, by the name of each card."""
    network = yaml.safe_load(netplan_config(identity_of(*values), "wlan0", by_manager) or "")["network"]
    assert network["version"] == 2
    found: dict[str, dict[str, object]] = {**network.get("ethernets", {}), **network.get("wifis", {})}
    return found


@pytest.mark.parametrize("values", [(), (("address", "dhcp"),), (("hostname", "x"),)])
def test_dhcp_needs_no_file(values: tuple[tuple[str, str], ...]) -> None:
    identity = identity_of(*values)
    assert cable_profile(identity) is wifi_profile(identity) is netplan_config(identity, "wlan0", False) is None


def test_a_fixed_address_is_the_cables_and_comes_before_a_profile_of_the_vendor() -> None:
    found = profile(*FIXED)
    assert found["connection"]["autoconnect-priority"] == "100" and "multi-connect" not in found["connection"]
    assert found["ipv4"] == {
        "method": "manual",
        "address1": "192.168.1.20/24,192.168.1.1",
        "dns": "9.9.9.9;",
        "ignore-auto-dns": "true",
    }
    assert found["ipv6"]["method"] == "auto" and found["ipv6"]["dns"] == "fd00::53;"
    (name,) = netplan(*FIXED)
    assert name < "all-eth-interfaces", "Armbian's: systemd-networkd takes the first"
    assert netplan(*FIXED)[name]["routes"] == [{"to": "default", "via": "192.168.1.1"}]


def test_no_name_server_makes_a_profile_void_that_has_no_such_version_of_ip() -> None:
    six = (("address", "fd00::2/64"), ("dns", "9.9.9.9"), ("dns", "fd00::53"))
    found = profile(*six)
    assert found["ipv4"] == {"method": "disabled"} and found["ipv6"]["dns"] == "fd00::53;"
    (by_manager,) = netplan(*six, by_manager=True).values()
    (by_networkd,) = netplan(*six).values()
    assert by_manager["nameservers"] == {"addresses": ["fd00::53"]}
    assert by_networkd["nameservers"] == {"addresses": ["9.9.9.9", "fd00::53"]}
    assert "networkmanager" in by_manager and "networkmanager" not in by_networkd, "netplan refuses the other way"


def test_chosen_name_servers_are_the_only_ones() -> None:
    found = profile(("dns", "9.9.9.9"))
    assert found["connection"]["multi-connect"] == "3" and found["ipv4"]["method"] == "auto"
    assert found["ipv4"]["ignore-auto-dns"] == found["ipv6"]["ignore-auto-dns"] == "true"
    (card,) = netplan(("dns", "9.9.9.9")).values()
    assert card["dhcp4"] is True and card["dhcp4-overrides"] == {"use-dns": False}


def test_the_address_is_the_wifis_where_there_is_one() -> None:
    assert cable_profile(identity_of(*HOME, *FIXED)) is None
    assert profile(*HOME, *FIXED)["ipv4"]["method"] == "manual"
    assert netplan(*HOME, *FIXED)["wlan0"]["addresses"] == ["192.168.1.20/24"]


@pytest.mark.parametrize("ssid", ["Home", 'x"\\; }', "12;34;", "Küche"])
@pytest.mark.parametrize("password", ['a "b\\ c;d: #', "ab" * 32, "none"])
def test_any_name_and_password_arrive_as_they_are(ssid: str, password: str) -> None:
    values = (("wifi_ssid", ssid), ("wifi_password", password))
    found = profile(*values)
    assert bytes(map(int, found["wifi"]["ssid"].strip(";").split(";"))).decode() == ssid
    said = found.get("wifi-security", {}).get("psk", "none")
    assert said.replace("\\s", " ").replace("\\\\", "\\") == password
    points = netplan(*values)["wlan0"]["access-points"]
    assert isinstance(points, dict) and list(points) == [ssid]
    assert points[ssid].get("auth", {}).get("password", "none") == password


@pytest.mark.parametrize("password", ["12345678", "none", "ab" * 32])
def test_a_kept_password_is_the_one_from_before(password: str) -> None:
    told, other = (identity_of(("wifi_ssid", name), ("wifi_password", password)) for name in ("Home", "Other"))
    kept = Identity((("wifi_ssid", "Home"),), frozenset({"wifi_password"}))
    assert wifi_profile(kept, wifi_profile(told) or "") == wifi_profile(told)
    assert netplan_config(kept, "wlan0", False, netplan_config(told, "wlan0", False) or "") == netplan_config(
        told, "wlan0", False
    )
    with pytest.raises(Wrong, match="another network than before"):
        wifi_profile(kept, wifi_profile(other) or "")
    with pytest.raises(Wrong, match="another network than before"):
        netplan_config(kept, "wlan0", False, netplan_config(other, "wlan0", False) or "")
