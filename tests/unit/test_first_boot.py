"""The first boot and later ones: a board becomes itself, whatever its file says and whenever the power goes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from deploy.onboard.commands import ProgramFailed
from deploy.onboard.identity import consoles
from deploy.onboard.identity.boardllama_txt import FILE, Identity
from deploy.onboard.identity.partition import MOST_BYTES, IdentityFolder
from deploy.onboard.server import config
from tests.unit.first_board import Board, board
from tests.unit.test_boardllama_txt import KEY, RSA

__all__ = ["board"]

TEXT = f"""# the kitchen's
hostname = kitchen
ssh_key = {KEY}
wifi_ssid = Home
wifi_password = correct horse
wifi_country = DE
address = 192.168.1.20/24
gateway = 192.168.1.1
dns = 192.168.1.1
api_key = sk-0123456789
timezone = UTC
"""


def test_a_board_becomes_what_its_file_says(board: Board) -> None:
    board.insert(TEXT)
    assert board.boot() == 0
    assert (board.places.hostname.read_text(), board.kernel_name) == ("kitchen\n", "kitchen")
    assert "127.0.1.1\tkitchen" in board.places.hosts.read_text()
    assert board.places.authorized_keys.read_text() == f"{KEY}\n"
    assert "Address=192.168.1.20/24\nGateway=192.168.1.1\nDNS=192.168.1.1\n" in board.places.network.read_text()
    assert board.service.api_key.read_text() == "sk-0123456789\n"
    assert board.places.localtime.readlink() == Path("/usr/share/zoneinfo/UTC")
    assert (
        f"ssid={b'Home'.hex()}" in board.places.wifi.read_text() and '"correct horse"' in board.places.wifi.read_text()
    )
    assert board.errors == ""
    for path, mode in ((board.places.wifi, 0o600), (board.service.api_key, 0o640), (board.places.host_key, 0o600)):
        assert path.stat().st_mode & 0o777 == mode, path


def test_a_hosts_file_in_any_encoding_keeps_its_lines_and_stops_nothing(board: Board) -> None:
    board.places.hosts.write_bytes(b"127.0.0.1\tlocalhost\n# K\xfcche\n")
    board.insert(f"hostname = kitchen\nssh_key = {KEY}\n")
    assert board.boot() == 0
    assert (
        b"# K\xfcche\n" in board.places.hosts.read_bytes() and b"127.0.1.1\tkitchen" in board.places.hosts.read_bytes()
    )
    assert board.places.authorized_keys.read_text() == f"{KEY}\n"


def test_what_is_wrong_is_on_the_screen_and_on_the_serial_pins(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Raspberry Pi has both, and its /dev/console is the pins."""
    monkeypatch.setattr(consoles, "DEVICES", tmp_path)
    consoles.ACTIVE.write_text("tty0 gone ttyS1\n")
    for name in ("tty0", "ttyS1"):
        (tmp_path / name).touch()
    board.insert("gatway = 1.2.3.4\n")
    board.boot()
    for name in ("tty0", "ttyS1"):
        shown = (tmp_path / name).read_text()
        assert "boardllama.txt, line 1: 'gatway' is unknown" in shown and "this board is" not in shown


def test_secrets_leave_the_card_and_everything_else_stays(board: Board) -> None:
    board.insert(TEXT)
    board.boot()
    assert "correct horse" not in board.file and "sk-01" not in board.file
    assert all(line in board.file for line in TEXT.splitlines() if "password" not in line and "api_key" not in line)
    assert {path.name for path in board.card.folder.iterdir()} == {FILE}


def test_a_second_boot_changes_nothing(board: Board) -> None:
    board.insert(TEXT)
    board.boot()
    board.places.hostname.write_text("mine\n")  # an edit on the board holds until the file changes
    before = board.state()
    assert board.boot() == 0
    assert (board.state(), board.writes) == (before, 0)


def test_a_changed_file_is_applied_and_what_it_no_longer_says_is_gone(board: Board) -> None:
    board.insert(TEXT)
    board.boot()
    key = board.places.host_key.read_bytes()
    board.insert(f"hostname = hall\nssh_key = {RSA}\n")
    assert board.boot() == 0
    assert board.places.hostname.read_text() == "hall\n"
    assert board.places.authorized_keys.read_text() == f"{RSA}\n"
    assert not board.places.network.exists() and not board.places.wifi.exists()
    assert board.service.api_key.read_text() == "sk-0123456789\n", "a server is never opened by a missing line"
    assert board.places.host_key.read_bytes() == key


def test_the_kept_password_goes_with_its_network_alone(board: Board) -> None:
    board.insert(TEXT)
    board.boot()
    board.insert(board.file.replace("wifi_country = DE", "wifi_country = FR"))
    assert board.boot() == 0
    assert "country=FR" in board.places.wifi.read_text() and '"correct horse"' in board.places.wifi.read_text()
    board.insert(board.file.replace("wifi_ssid = Home", "wifi_ssid = Office"))
    assert board.boot() == 0
    assert "another network than before: write its wifi_password too" in board.errors
    assert b"Home".hex() in board.places.wifi.read_text(), "what worked stays"


@pytest.mark.parametrize("content", [None, b"\0" * (MOST_BYTES + 1)])
def test_a_board_without_a_file_that_can_be_read_has_a_name_and_a_key(board: Board, content: bytes | None) -> None:
    if content:
        board.insert(content)
    assert board.boot() == (1 if content else 0)
    assert board.places.hostname.read_text() == "boardllama-1a2b3c\n"
    assert board.places.host_key.is_file()
    assert ("KiB" in board.errors) == bool(content)
    board.places.authorized_keys.parent.mkdir(parents=True)
    board.places.authorized_keys.write_text("there")
    board.boot()
    assert board.places.authorized_keys.read_text() == "there"


@pytest.mark.parametrize(
    ("text", "config", "made"),
    [
        ("api_key = generate", {}, True),
        ("", {"server": {"host": "0.0.0.0"}}, True),
        ("", {"server": {"host": "0.0.0.0", "allow_unauthenticated": True}}, False),
        ("", {"server": {"host": "127.0.0.1"}}, False),
        ("", {}, False),
    ],
)
def test_a_key_is_made_where_one_is_wanted(board: Board, text: str, config: Any, made: bool) -> None:
    board.service.config.parent.mkdir(parents=True)
    board.service.config.write_text(json.dumps(config))
    board.insert(text)
    assert board.boot() == 0
    assert board.service.api_key.exists() == made
    if made:
        key = board.service.api_key.read_text()
        assert len(key) == 33
        board.insert(f"{text}\n# changed")
        board.boot()
        assert board.service.api_key.read_text() == key, "generate means one for the life of the board"


def test_an_empty_key_file_of_an_image_is_filled(board: Board) -> None:
    board.service.api_key.parent.mkdir(parents=True)
    board.service.api_key.write_text("")
    board.insert("")
    board.boot()
    assert len(board.service.api_key.read_text()) == 33


def test_what_cannot_be_written_is_said_keeps_its_secret_on_the_card_and_is_tried_again(board: Board) -> None:
    board.places.wifi.parent.mkdir(parents=True)
    board.places.wifi.with_name(f".{board.places.wifi.name}.new").mkdir()  # in the way
    board.insert(TEXT)
    assert board.boot() == 1
    assert "the network could not be set" in board.errors
    assert board.places.hostname.read_text() == "kitchen\n"
    assert "correct horse" in board.file
    board.places.wifi.with_name(f".{board.places.wifi.name}.new").rmdir()
    assert board.boot() == 0
    assert "correct horse" in board.places.wifi.read_text() and board.errors == ""


def test_the_empty_file_of_an_image_is_no_error(board: Board) -> None:
    board.insert(Identity().render())
    assert board.boot() == 0
    assert board.errors == ""


def test_the_server_would_be_given_the_key(board: Board) -> None:
    board.insert("api_key = sk-0123456789")
    board.boot()
    assert config.first_key(board.service.api_key) == "sk-0123456789"


def test_a_missing_account_is_said_and_the_rest_is_done(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    def chown(path: Path, group: str) -> None:
        raise LookupError(f"no such group: {group!r}")

    monkeypatch.setattr(shutil, "chown", chown)
    board.insert("api_key = sk-0123456789\ntimezone = UTC\n")
    assert board.boot() == 1
    assert "the API key could not be set: no such group: 'ollama'" in board.errors
    assert board.places.timezone.read_text() == "UTC\n"
    assert "sk-0123456789" in board.file, "it is tried again at the next start"


def test_a_card_that_takes_no_writes_is_obeyed_all_the_same(
    board: Board, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its switch is at "lock", or it is worn."""

    def locked() -> None:
        raise ProgramFailed("mount: write-protected")

    board.insert(TEXT)
    board.card = IdentityFolder(board.card.folder, locked)
    assert board.boot() == 1
    assert board.places.hostname.read_text() == "kitchen\n"
    assert "mount: write-protected" in capsys.readouterr().out
    assert not board.places.applied.exists(), "the secret is still there: the next boot tries again"


def test_a_file_whose_name_has_a_hidden_end_is_pointed_out_until_it_is_gone(board: Board) -> None:
    board.insert(TEXT)
    board.boot()
    other = board.card.folder / "boardllama.txt.txt"
    other.write_text("hostname = hall")
    for _ in range(2):
        assert board.boot() == 0
        assert "boardllama.txt.txt is not read: the name must be boardllama.txt" in board.errors
    other.unlink()
    board.boot()
    assert board.errors == ""
