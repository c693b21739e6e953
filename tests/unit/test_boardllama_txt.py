"""boardllama.txt: whatever a technician writes is understood, or answered with its line and what to do."""

import random

import pytest

from deploy.onboard.identity import rules
from deploy.onboard.identity.boardllama_txt import Identity, IdentityError, identity_of, parse_identity, read_identity
from deploy.onboard.identity.lines import decode_file
from deploy.onboard.identity.secret_lines import without_secrets

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBJH5h5GJlVZ0iCMoh2KR3cCZ2nmVbiFcT5iZ7nq0AGv tech@laptop"
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAgEj"
FULL = f"""
hostname = Kitchen-2
ssh_key = {KEY}
ssh_key = {RSA}
wifi_ssid = "Café = open #1 "
wifi_password = correct horse = "battery"
wifi_country = de
address = 192.168.1.20/24
gateway = 192.168.1.1
dns = 192.168.1.1
dns = 2606:4700::1111
api_key = sk-0123456789
timezone = Europe/Berlin
"""
ANYTHING = [
    "=",
    " ",
    "#",
    '"',
    "\n",
    "\r",
    "\t",
    "\x00",
    "é",
    "\ufeff",
    "\ufffd",
    "%",
    *rules.NAMES,
    "none",
    KEY,
]


def said(text: str) -> list[str]:
    """The problems of a file."""
    return [str(problem) for problem in read_identity(text)[1]]


def test_every_name_reaches_its_value() -> None:
    identity = parse_identity(FULL)
    assert {name for name, _ in identity.entries} == set(rules.NAMES), "this test names them all"
    assert (identity.hostname, identity.timezone) == ("kitchen-2", "Europe/Berlin")
    assert identity.ssh_keys == (KEY, RSA)
    assert identity.wifi_ssid == "Café = open #1 "
    assert identity.wifi_password == 'correct horse = "battery"'
    assert identity.wifi_country == "DE"
    assert (identity.address, identity.gateway) == ("192.168.1.20/24", "192.168.1.1")
    assert identity.dns == ("192.168.1.1", "2606:4700::1111")
    assert identity.api_key == "sk-0123456789"


@pytest.mark.parametrize(
    "text",
    [
        "",
        FULL,
        'wifi_ssid = " \\" "\nwifi_password = none',
        'wifi_ssid=""a""\nwifi_password="none"',
        "wifi_ssid = \"'a'\"\nwifi_password = none",
    ],
)
def test_what_is_written_is_read_back(text: str) -> None:
    assert parse_identity(parse_identity(text).render()) == Identity(
        tuple(sorted(parse_identity(text).entries, key=order))
    )


def order(entry: tuple[str, str]) -> int:
    """Its place in the file as it is written."""
    return list(rules.NAMES).index(entry[0])


def test_the_empty_file_explains_every_name_and_its_examples_are_valid() -> None:
    text = Identity().render()
    assert parse_identity(text) == Identity()
    for name, rule in rules.NAMES.items():
        assert f"\n# {rule.about}\n# {name} = {rule.example}\n" in text
        if name != "ssh_key":
            rule.value(rule.example)


@pytest.mark.parametrize("save", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_any_editor_may_save_it(save: str, newline: str) -> None:
    assert parse_identity(decode_file(FULL.strip().replace("\n", newline).encode(save))) == parse_identity(FULL)


@pytest.mark.parametrize("end", ["\r", "\r\r\n", "\u2028", "\x85"])
def test_a_line_ends_however_an_editor_ends_it(end: str) -> None:
    """Else all of it would be one comment, which takes away who may log in."""
    assert parse_identity(decode_file(FULL.replace("\n", end).encode())) == parse_identity(FULL)


@pytest.mark.parametrize("line", ["wifi_ssid = \u201cHome\u201d", "wifi_ssid: Home", "wifi_ssid = Home # 5 GHz"])
def test_one_mistake_is_one_problem(line: str) -> None:
    """A password whose network is in a wrong line is not there without a network."""
    assert len(said(f"{line}\nwifi_password = correct horse")) == 1


def test_what_begins_with_a_hash_sign_may_stand_in_quotes_or_without_a_blank() -> None:
    identity = parse_identity(f'wifi_ssid = "Home # 5"\nwifi_password = secret#12\nssh_key = {KEY} # mine')
    assert (identity.wifi_ssid, identity.wifi_password) == ("Home # 5", "secret#12")
    assert identity.ssh_keys == (f"{KEY} # mine",)


@pytest.mark.parametrize("heading", ["", "# boardllama: who this board is.\n", "# boardllama.txt, format 1: who\n"])
def test_a_file_that_does_not_say_its_format_is_of_the_first(heading: str) -> None:
    assert parse_identity(heading + FULL.strip()) == parse_identity(FULL)


def test_of_a_later_format_what_is_known_is_used_and_the_rest_is_said() -> None:
    identity, problems = read_identity(Identity().render().replace("format 1", "format 2") + "hostname = kitchen\n")
    assert identity.hostname == "kitchen"
    (problem,) = problems
    assert str(problem).startswith("line 1: the file has format 2, this board reads 1")


def test_all_errors_are_said_at_once_with_their_lines_and_what_is_good_stays() -> None:
    identity, problems = read_identity("hostname = my board\n\nhostnam = x\ntimezone = Europe/Berlin\njust words\n")
    assert identity == identity_of(("timezone", "Europe/Berlin"))
    assert [problem.line for problem in problems] == [1, 3, 5]
    with pytest.raises(IdentityError, match=r"line 1: hostname is 'my board': must be .*; line 3: .*; line 5: "):
        parse_identity("hostname = my board\n\nhostnam = x\ntimezone = Europe/Berlin\njust words\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{\\rtf1\\ansi\nhostname = x\n}", "save it as plain text"),
        ("hostnme = x", "line 1: 'hostnme' is unknown: did you mean hostname?"),
        ("wifi-ssid = x", "did you mean wifi_ssid?"),
        ("wifi_ssid = \u201cWorkshop\u201d", "line 1: wifi_ssid stands between \u201c and \u201d"),
        ("wifi_ssid = 'Workshop'", "take them away"),
        ("xyzzy = 1", "must be one of hostname, ssh_key"),
        ("hostname: x", "line 1: hostname has no =: write name = value"),
        ("hostname = -x", "1 to 63 letters"),
        ("hostname = my_pi", "not digits alone, such as my-pi"),
        ("hostname = kitchen.example.org", "not digits alone, such as kitchen"),
        ("wifi_country = DE  # Germany", "line 1: wifi_country: a comment has a line of its own"),
        ("wifi_ssid = Home # 5 GHz\nwifi_password = none", "line 1: wifi_ssid: a comment has a line of its own"),
        ("wifi_ssid = Home\nwifi_password = horse #1 fan", "line 2: wifi_password: a comment has a line of its own"),
        ("hostname = # kitchen", "a comment has a line of its own"),
        ("dns = 1.1.1.1, 8.8.8.8", "one address in a line"),
        ("hostname = localhost", "1 to 63 letters"),
        (f"hostname = {'a' * 64}", "1 to 63 letters"),
        ("hostname =", "1 to 63 letters"),
        ("hostname = a\n\nhostname = b", "line 3: hostname is there a second time, first in line 1"),
        ("hostname = k\x07", "cannot be seen"),
        ("hostname = k\ufffd", "save the file as UTF-8"),
        ("ssh_key = hello", "must be the one line of a .pub file"),
        ("ssh_key = -----BEGIN OPENSSH PRIVATE KEY-----", "this is a private key"),
        (f"ssh_key = {KEY[:60]}", "damaged"),
        (f"ssh_key = {KEY.replace('AAAAC3Nz', 'AAAAC3N!')}", "damaged"),
        (f"ssh_key = {KEY.replace('ssh-ed25519', 'ssh-rsa', 1)}", "damaged or cut off"),
        ("ssh_key = ssh-ed25519", "damaged or cut off"),
        (f"wifi_ssid = {'ä' * 17}\nwifi_password = none", "1 to 32 bytes"),
        ("wifi_ssid = x", "line 1: wifi_ssid is there without wifi_password"),
        ("wifi_password = 12345678", "wifi_password is there without wifi_ssid"),
        ("wifi_country = Germany", "two letters"),
        ("wifi_country = UK", "is GB"),
        ("address = 192.168.1.20", "with its prefix, such as 192.168.1.20/24"),
        ("address = 192.168.1.300/24", "dhcp, or an address with its prefix"),
        ("address = 192.168.1.0/24", "first or last address of 192.168.1.0/24"),
        ("address = 192.168.1.255/24", "first or last address"),
        ("address = 127.0.0.1/8", "no board can have this address"),
        ("gateway = 192.168.1.1", "gateway is for a fixed address"),
        ("address = dhcp\ngateway = 192.168.1.1", "line 2: gateway is for a fixed address"),
        ("address = 10.0.0.2/24\ngateway = 10.0.1.1", "gateway is 10.0.1.1: must be another address of 10.0.0.0/24"),
        ("address = 10.0.0.2/24\ngateway = 10.0.0.2", "another address of"),
        ("address = 10.0.0.2/24\ngateway = 10.0.0.255", "another address of"),
        ("address = 10.0.0.2/24\ngateway = 10.0.0.0", "another address of"),
        ("dns = 0.0.0.0", "no machine can have this address"),
        ("timezone = localtime", "must be a name like"),
        ("address = 10.0.0.2/24\ngateway = fe80::1", "another address of"),
        ("dns = router", "dns is 'router': must be an IP address"),
        ("timezone = Europe/Berlim", "must be a name like Europe/Berlin"),
        ("timezone = ../../etc/passwd", "must be a name like"),
    ],
)
def test_one_mistake_is_one_sentence(text: str, expected: str) -> None:
    (problem,) = said(text)
    assert expected in problem


@pytest.mark.parametrize(
    "text",
    [
        "address = 192.168.1.20\ngateway = 192.168.1.1",
        "wifi_ssid = Home\nwifi_password = short",
        "wifi_ssid = Home\nwifi_password = passwörter",
    ],
)
def test_a_value_that_needs_a_wrong_one_is_not_used_and_not_said(text: str) -> None:
    """A network name whose password is wrong must not become an open network."""
    identity, problems = read_identity(text)
    assert identity == Identity()
    assert len(problems) == 1


@pytest.mark.parametrize("seed", range(200))
def test_no_text_breaks_the_parser_and_what_is_good_is_good_again(seed: int) -> None:
    chance = random.Random(seed)
    text = "".join(chance.choice(ANYTHING) for _ in range(chance.randrange(60)))
    identity, _ = read_identity(text)
    assert dict(parse_identity(identity.render()).entries) == dict(identity.entries)
    read_identity(without_secrets(text, identity))
