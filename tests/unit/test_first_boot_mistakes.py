"""Mistakes in boardllama.txt: each is said, what is right is used, and nobody is locked out or cut off."""

import re

import pytest

from tests.unit.first_board import Board, board
from tests.unit.test_boardllama_txt import KEY, RSA
from tests.unit.test_first_boot import TEXT

__all__ = ["board"]


def test_bad_lines_are_said_on_the_card_and_the_rest_is_applied(
    board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    board.insert(TEXT.replace("kitchen\n", "my kitchen\n").replace("gateway = 192.168.1.1", "gatway = 192.168.1.1"))
    assert board.boot() == 0
    assert "boardllama.txt, line 2: hostname is 'my kitchen'" in board.errors
    assert "line 8: 'gatway' is unknown: did you mean gateway?" in board.errors
    assert board.places.hostname.read_text() == "boardllama-1a2b3c\n"
    assert "Address=192.168.1.20/24" in board.places.network.read_text()
    assert board.errors in capsys.readouterr().out
    board.boot()
    assert "gatway" in capsys.readouterr().out, "at every start, until it is mended"
    board.insert(board.file.replace("gatway", "gateway").replace("my kitchen", "kitchen"))
    assert board.boot() == 0
    assert board.errors == ""


def test_a_mistake_never_locks_out_or_cuts_off(board: Board) -> None:
    board.insert(TEXT)
    board.boot()
    board.insert(f"shh_key = {KEY}\nssh_key = {RSA}\nadress = 10.0.0.2/8\nwifi_sid = x\n")
    assert board.boot() == 0
    assert board.places.authorized_keys.read_text() == f"{KEY}\n{RSA}\n"
    assert "192.168.1.20" in board.places.network.read_text()
    assert board.places.wifi.exists()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("192.168.1.20/24", "192.168.1.20"),
        ("gateway = 192.168.1.1", "gateway = 10.0.0.1"),
        ("gateway = 192.168.1.1", "gatway = 192.168.1.1"),
        ("gateway = 192.168.1.1", "gateway 192.168.1.1"),
        ("wifi_ssid = Home", f"wifi_ssid = {'x' * 33}"),
        ("wifi_password = correct horse", "wifi_password = short"),
    ],
)
def test_a_mistake_in_one_line_leaves_the_network_as_it_was(board: Board, right: str, wrong: str) -> None:
    board.insert(TEXT)
    board.boot()
    before = board.places.network.read_text(), board.places.wifi.read_text()
    board.insert(TEXT.replace(right, wrong))
    assert board.boot() == 0
    assert board.errors
    assert (board.places.network.read_text(), board.places.wifi.read_text()) == before
    board.insert(re.sub("# wifi_password: wrong.*", right, board.file.replace(wrong, right)))
    board.boot()
    assert (board.places.network.read_text(), board.places.wifi.read_text(), board.errors) == (*before, "")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("gateway = 192.168.1.1", "gatway = 192.168.1.1"),
        ("192.168.1.20/24", "192.168.1.20"),
        ("wifi_ssid = Home", "wifi_ssid = 'Home'"),
    ],
)
def test_a_new_password_beside_a_mistake_waits_on_the_card_until_that_is_mended(
    board: Board, right: str, wrong: str
) -> None:
    board.insert(TEXT)
    board.boot()
    before = board.places.wifi.read_text()
    board.insert(TEXT.replace("correct horse", "battery staple").replace(right, wrong))
    board.boot()
    assert board.places.wifi.read_text() == before
    assert "wifi_password = battery staple" in board.file
    board.insert(board.file.replace(wrong, right))
    assert board.boot() == 0
    assert 'psk="battery staple"' in board.places.wifi.read_text()
    assert "battery" not in board.file
    assert board.errors == ""


def test_a_file_whose_lines_end_in_another_way_says_the_same(board: Board) -> None:
    board.insert(TEXT)
    board.boot()
    board.insert(TEXT.replace("kitchen", "cellar").replace("\n", "\r"))
    assert board.boot() == 0
    assert board.errors == ""
    assert board.places.hostname.read_text() == "cellar\n"
    assert board.places.authorized_keys.read_text() and board.places.wifi.exists() and board.places.network.exists()
    assert "correct horse" not in board.file


@pytest.mark.parametrize(
    ("password", "address"),
    [
        ("wifi_password = battery staple", "10.0.0.5"),
        ("# wifi_password: applied, and kept on the board alone", "10.0.0.5/24"),
    ],
    ids=["an address without its prefix", "the password of the network before"],
)
def test_a_mistake_on_the_way_to_another_wifi_leaves_the_board_in_the_one_before(
    board: Board, password: str, address: str
) -> None:
    """Its address is of no use in another network, nor another address in this one; and nobody is locked out."""
    board.insert(TEXT)
    board.boot()
    before = board.places.network.read_text(), board.places.wifi.read_text(), board.places.authorized_keys.read_text()
    text = TEXT.replace("= Home", "= Work").replace("wifi_password = correct horse", password)
    text = text.replace("192.168.1.20/24", address).replace("192.168.1.1", "10.0.0.1").replace(f"ssh_key = {KEY}\n", "")
    board.insert(text)
    assert board.boot() == 0
    assert board.errors
    assert (
        board.places.network.read_text(),
        board.places.wifi.read_text(),
        board.places.authorized_keys.read_text(),
    ) == before


def test_a_mistake_elsewhere_keeps_no_new_address_out(board: Board) -> None:
    board.insert(TEXT)
    board.boot()
    board.insert(TEXT.replace("192.168.1.20", "192.168.1.21").replace("= UTC", "= Mars"))
    board.boot()
    assert "timezone" in board.errors
    assert "192.168.1.21" in board.places.network.read_text()
