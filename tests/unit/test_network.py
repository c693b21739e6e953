"""What systemd-networkd and wpa_supplicant are told."""

import pytest

from deploy.onboard.identity.boardllama_txt import Identity, identity_of
from deploy.onboard.identity.network_files.networkd import networkd_config, supplicant_config
from deploy.onboard.identity.rules import Wrong


def wifi(password: str, ssid: str = "Home") -> str:
    """The supplicant's file for a network."""
    text = supplicant_config(identity_of(("wifi_ssid", ssid), ("wifi_password", password)))
    assert text
    return text


@pytest.mark.parametrize("values", [(), (("address", "dhcp"),), (("hostname", "x"),)])
def test_dhcp_needs_no_file(values: tuple[tuple[str, str], ...]) -> None:
    assert networkd_config(identity_of(*values)) is None


def test_a_fixed_address_asks_no_dhcp_server() -> None:
    text = networkd_config(identity_of(("address", "fd00::2/64"), ("gateway", "fe80::1"))) or ""
    assert "Type=ether" in text and "Address=fd00::2/64\nGateway=fe80::1\n" in text
    assert "DHCP" not in text


def test_chosen_name_servers_are_the_only_ones() -> None:
    text = networkd_config(identity_of(("dns", "9.9.9.9"), ("dns", "1.1.1.1"))) or ""
    assert "DHCP=yes\nDNS=9.9.9.9\nDNS=1.1.1.1\n" in text
    assert text.count("UseDNS=no") == 3


def test_a_cable_is_taken_before_the_wifi() -> None:
    """As 80-boardllama-wifi.network says where no name server was chosen."""
    text = networkd_config(identity_of(("dns", "9.9.9.9"), ("wifi_ssid", "Home"), ("wifi_password", "none"))) or ""
    assert text.count("RouteMetric=2048") == 2
    assert "RouteMetric" not in (networkd_config(identity_of(("dns", "9.9.9.9"))) or "")


def test_the_address_is_the_wifis_where_there_is_one() -> None:
    values = (("address", "10.0.0.2/24"), ("wifi_ssid", "Home"), ("wifi_password", "none"))
    text = networkd_config(identity_of(*values)) or ""
    assert "Type=wlan" in text and "Type=ether" not in text


def test_passwords_keys_and_open_networks() -> None:
    assert '\tpsk="correct "horse"\n' in wifi('correct "horse')
    assert "SAE" in wifi("12345678") and "ieee80211w=1" in wifi("12345678")
    assert f"\tpsk={'ab' * 32}\n" in wifi("ab" * 32) and "SAE" not in wifi("ab" * 32)
    assert "\tkey_mgmt=NONE\n" in wifi("none") and "psk" not in wifi("none")


def test_no_name_of_a_network_can_end_its_line() -> None:
    text = wifi("12345678", 'x" }')
    assert "ssid=" + b'x" }'.hex() in text
    assert text.count("}") == 1


@pytest.mark.parametrize("password", ["12345678", "none", "ab" * 32])
def test_a_kept_password_is_the_one_from_before(password: str) -> None:
    kept = Identity((("wifi_ssid", "Home"),), frozenset({"wifi_password"}))
    assert supplicant_config(kept, wifi(password)) == wifi(password)
    with pytest.raises(Wrong, match="another network than before"):
        supplicant_config(kept, wifi(password, "Other"))
    with pytest.raises(Wrong):
        supplicant_config(kept, "")
