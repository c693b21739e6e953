"""Who the cards become: options and CSV files; and how a batch goes on."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.command.cards import KEPT
from deploy.errors import BoardllamaError
from deploy.flash.__main__ import flash_cards, refuse_twins
from deploy.flash.identities import expand_key_files, identities_from_csv, identity_from_options
from deploy.flash.results import CardVerdict, Result, append_result, check_results, passed_identities, public_values
from deploy.paths import REPO

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINq+JwvWvQl44f5sMKerhcg4F613tQeIMFxbu2vEz4lo me"
SHA256 = "ab" * 32


def write_table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    """The path of a CSV file with this text."""
    path = folder / "boards.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_row_is_a_card_and_options_hold_where_it_is_silent(tmp_path: Path) -> None:
    path = write_table(tmp_path, "hostname,timezone\nkitchen,Europe/Berlin\n\ncellar,\n")
    first, second = identities_from_csv(path, [("timezone", "UTC"), ("ssh_key", KEY)])
    assert (first.hostname, first.timezone, first.ssh_keys) == ("kitchen", "Europe/Berlin", (KEY,))
    assert (second.hostname, second.timezone) == ("cellar", "UTC")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_spreadsheet_may_write_semicolons_and_a_mark(tmp_path: Path, encoding: str) -> None:
    path = write_table(tmp_path, "hostname;wifi_ssid;wifi_password\r\nkitchen;home;correct horse\r\n", encoding)
    (found,) = identities_from_csv(path, [])
    assert (found.hostname, found.wifi_ssid) == ("kitchen", "home")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_a_spreadsheet_that_saves_no_utf_8_is_told_so(tmp_path: Path, encoding: str) -> None:
    path = write_table(tmp_path, "hostname,wifi_ssid,wifi_password\nkitchen,Café,correct horse\n", encoding)
    with pytest.raises(BoardllamaError) as caught:
        identities_from_csv(path, [])
    assert str(caught.value) == f"CSV={path} is not UTF-8: save it as CSV UTF-8"


def test_blanks_in_the_quotation_marks_of_a_password_are_its_own(tmp_path: Path) -> None:
    text = '"hostname ", wifi_ssid , wifi_password\n" kitchen", home , correct horse \nhall,home," a ""b"" c, "\n'
    kitchen, hall = identities_from_csv(write_table(tmp_path, text), [])
    assert (kitchen.hostname, kitchen.wifi_ssid, kitchen.wifi_password) == ("kitchen", "home", "correct horse")
    assert hall.wifi_password == ' a "b" c, '


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the first line names the columns"),
        ("name\nkitchen\n", "hostname must be one"),
        ("hostname,adress\nkitchen,dhcp\n", "did you mean address?"),
        ("hostname\nkitchen\nkitchen\n", "kitchen is there 2 times"),
        ("hostname,dns\n,1.1.1.1\n", "line 2: hostname is empty"),
        ("hostname\nkitchen,1.1.1.1\n", "2 cells and the first line 1"),
        ('hostname,wifi_password\na,"horse battery\nb,cellar-pw\nc,attic-pw"\n', "line 2: unexpected end of data"),
        ('hostname,wifi_password\na,"horse" battery\n', "line 2: "),
        ("hostname,ssh_key\na,/dev/null\n", "line 2: SSH_KEY=/dev/null is no key and no file with one"),
        ("hostname,address\none,nonsense\ntwo,dhcp\nthree,10.0.0.1\n", "line 4: "),
    ],
)
def test_all_that_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BoardllamaError) as caught:
        identities_from_csv(write_table(tmp_path, text), [])
    assert words in str(caught.value)


def make_output(*words: str) -> str:
    """What `make flash` with these words would run."""
    command = ["make", "-C", str(REPO), "-n", "flash", "IMAGE=x", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_secret_may_come_by_the_environment_where_no_log_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `make flash API_KEY=…` gives it: sudo logs command lines, and `ps` shows them."""
    said = make_output("API_KEY=sk-0123456789", "WIFI_PASSWORD=correct horse")
    assert "sk-01" not in said and "correct" not in said
    assert "--from-environment wifi_password" in said and "--from-environment api_key" in said
    monkeypatch.setenv("BOARDLLAMA_API_KEY", "sk-0123456789")
    assert "--from-environment api_key" in make_output(), "given before the command, where ps does not show it"
    monkeypatch.delenv("BOARDLLAMA_API_KEY")
    with pytest.raises(BoardllamaError, match="there is no variable BOARDLLAMA_API_KEY"):
        flash_cards([str(tmp_path / "none.img.zst"), "--from-environment", "api_key"])
    monkeypatch.setenv("BOARDLLAMA_API_KEY", "short")
    with pytest.raises(BoardllamaError, match="api_key: must be"):
        flash_cards([str(tmp_path / "none.img.zst"), "--from-environment", "api_key"])


def test_the_key_of_another_program_goes_onto_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "sk-cloud")
    monkeypatch.setenv("WIFI_PASSWORD", "correct horse")
    assert "--from-environment" not in make_output()


def test_make_hands_secrets_on_as_they_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOARDLLAMA_WIFI_PASSWORD", 'of $HOME\'s "own"')
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nprintenv BOARDLLAMA_WIFI_PASSWORD BOARDLLAMA_API_KEY\n")
    python.chmod(0o755)
    words = ["TO_FILE=x", "API_KEY=sk-$$1", f"PYTHON={python}"]
    command = ["make", "-C", str(REPO), "--no-print-directory", "-o", ".venv/ready", "flash", *words]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-2:] == ['of $HOME\'s "own"', "sk-$1"]
    assert {"BOARDLLAMA_WIFI_PASSWORD", "BOARDLLAMA_API_KEY"} <= set(KEPT.split()), "by sudo"


@pytest.mark.parametrize("no", ["", "0", "no", "false"])
def test_no_is_not_yes(no: str) -> None:
    said = make_output(f"YES={no}", f"EVERYTHING={no}")
    assert "--yes" not in said and "--everything" not in said


def test_yes_and_a_serial_with_a_blank() -> None:
    said = make_output("YES=1", "EVERYTHING=1", "SERIAL=/var/my card")
    assert "--yes --everything" in said
    assert "--serial '/var/my card'" in said, "one serial with a blank, or two"


def test_only_a_key_may_be_a_file_and_a_password_may_begin_with_a_tilde() -> None:
    values = [("wifi_ssid", "~home"), ("wifi_password", "~secret123"), ("api_key", "~abcdefgh")]
    assert expand_key_files(values) == values
    with pytest.raises(BoardllamaError, match="SSH_KEY=~nobody-of-this-name/key is no"):
        expand_key_files([("ssh_key", "~nobody-of-this-name/key")])


def test_a_key_may_be_a_file_and_never_a_private_one(tmp_path: Path) -> None:
    public_key, private = tmp_path / "id.pub", tmp_path / "id"
    public_key.write_text(f"# mine\n{KEY}\n\n")
    private.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert expand_key_files([("ssh_key", str(public_key)), ("ssh_key", KEY)]) == [("ssh_key", KEY)] * 2
    with pytest.raises(BoardllamaError, match="is a private key: give the public one"):
        expand_key_files([("ssh_key", str(private))])


def test_a_table_or_an_image_that_is_not_there_is_named_in_plain_words(tmp_path: Path) -> None:
    missing = tmp_path / "boards.csv"
    with pytest.raises(BoardllamaError, match=rf"CSV={missing} cannot be read \(No such file or directory\)$"):
        identities_from_csv(missing, [])
    with pytest.raises(BoardllamaError, match=r"nope\.img is no image: IMAGE= must name .* dist/"):
        flash_cards([str(tmp_path / "nope.img"), "--to-file", str(tmp_path / "card")])
    with pytest.raises(BoardllamaError, match=r"nope\.img\.zst is not there: IMAGE= must name an image"):
        flash_cards([str(tmp_path / "nope.img.zst"), "--to-file", str(tmp_path / "card")])


def test_options_that_are_wrong_are_one_line() -> None:
    assert identity_from_options([]) is None
    with pytest.raises(BoardllamaError, match=r"the identity is wrong: .*hostname"):
        identity_from_options([("hostname", "two words")])


def test_several_cards_share_keys_but_no_name_and_no_address() -> None:
    refuse_twins(identity_from_options([("ssh_key", KEY), ("address", "dhcp")]), 5)
    refuse_twins(identity_from_options([("hostname", "kitchen")]), 1)
    for values in ([("hostname", "kitchen")], [("address", "192.168.1.20/24"), ("gateway", "192.168.1.1")]):
        with pytest.raises(BoardllamaError, match="5 cards cannot have one"):
            refuse_twins(identity_from_options(values), 5)


def card_result(hostname: str, verdict: CardVerdict = CardVerdict.PASS, sha256: str = SHA256) -> Result:
    """What became of a card with this host name."""
    values = [("hostname", hostname), ("wifi_ssid", "home"), ("wifi_password", "correct horse")]
    identity = identity_from_options(values)
    return Result("/dev/sdb", "1", "b.img.zst", sha256, public_values(identity), 1, 1.0, verdict, "", "2026-01-01")


def test_only_what_passed_with_this_image_is_done(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert passed_identities(path, SHA256) == []
    for one_result in (
        card_result("good"),
        card_result("bad", CardVerdict.FAIL),
        card_result("cut", CardVerdict.INTERRUPTED),
        card_result("older", sha256="cd" * 32),
        card_result("again"),
        card_result("again", CardVerdict.FAIL),
    ):
        append_result(path, one_result)
    assert passed_identities(path, SHA256) == [{"hostname": ["good"], "wifi_ssid": ["home"]}]
    assert "correct horse" not in path.read_text()


def test_results_that_root_begins_are_those_of_the_folder_s_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who goes on without sudo, as for TO_FILE=…"""
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "chown", lambda _, user, group: given.append((user, group)))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    check_results(tmp_path / "own.jsonl")
    assert not given
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for _ in range(2):
        check_results(tmp_path / "new.jsonl")
    assert given == [(tmp_path.stat().st_uid, tmp_path.stat().st_gid)], "once: what was there is left as it is"


def test_a_line_that_a_power_cut_tore_stays_alone(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    append_result(path, card_result("one"))
    path.write_bytes(path.read_bytes()[:-20])
    append_result(path, card_result("two"))
    assert [found["hostname"] for found in passed_identities(path, SHA256)] == [["two"]]
    assert len(path.read_text().splitlines()) == 2
