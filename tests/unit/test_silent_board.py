"""A board that no longer answers holds no run for ever; one that is slow is waited for. Real SSH, on the loopback."""

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import paramiko
import pytest
from paramiko import AuthenticationException
from pyinfra.api import Config, Inventory, State, StringCommand
from pyinfra.api.exceptions import DeployError

from deploy.fleet import connection as reported
from deploy.hosts.ssh import connection, keepalive
from deploy.hosts.ssh.refusals import refusal_of
from tests.unit.boards import PASSWORD, Board, Hanging, closed, serving, silent


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """As short as can be, but for what must answer, which a busy machine may keep from it."""
    for name, seconds in {"TRYING_SECONDS": 0.5, "PAUSE_SECONDS": 0.1, "SILENT_PREPARING": 2.0}.items():
        monkeypatch.setattr(connection, name, seconds)
    monkeypatch.setattr(keepalive, "PULSE_SECONDS", 0.1)
    monkeypatch.setattr(keepalive, "TICK_SECONDS", 0.1)


@pytest.fixture
def known_hosts(tmp_path: Path) -> Iterator[str]:
    """An empty one: pyinfra remembers those that it has read."""
    path = tmp_path / "known_hosts"
    path.touch()
    yield str(path)


def board_at(port: int, known_hosts: str, timeout: int = 30, **data: object) -> reported.ReportedBoard:
    """pyinfra's host for a port of the loopback, over the connection that it gives to hosts of no other kind."""
    told = {
        "ssh_hostname": "127.0.0.1",
        "ssh_port": port,
        "ssh_user": "root",
        "ssh_password": PASSWORD,
        "ssh_allow_agent": False,
        "ssh_look_for_keys": False,
        "ssh_known_hosts_file": known_hosts,
        "ssh_strict_host_key_checking": "no",
        **data,
    }
    state = State(Inventory((["kitchen"], {}), targets=(["kitchen"], told)), Config(CONNECT_TIMEOUT=timeout))
    found = state.inventory.get_host("kitchen").connector
    assert isinstance(found, reported.ReportedBoard)
    return found


def said_by(board: reported.ReportedBoard, command: str) -> tuple[bool, str, str]:
    """Whether it succeeded, its output, its errors."""
    done, output = board.run_shell_command(StringCommand(command))
    return done, output.stdout, output.stderr


def test_a_board_that_boots_is_tried_again(known_hosts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "TRYING_SECONDS", 60)
    port, started = closed(), threading.Event()

    def boot() -> None:
        time.sleep(0.3)
        with serving(Board(), port):
            started.wait(60)

    booting = threading.Thread(target=boot)
    booting.start()
    board = board_at(port, known_hosts)
    try:
        board.connect()
        assert said_by(board, "echo up") == (True, "up", "")
    finally:
        started.set()
        booting.join()


def test_a_port_that_stays_closed_is_one_line(known_hosts: str) -> None:
    with pytest.raises(
        connection.Unreachable,
        match=r"^Could not connect: it refuses the connection: it boots, its SSH server does not run, or ssh_port",
    ):
        board_at(closed(), known_hosts).connect()


def test_a_server_that_never_greets_is_one_line(known_hosts: str) -> None:
    with (
        silent() as port,
        pytest.raises(
            connection.Unreachable, match=r"^Could not connect: its SSH server does not greet: it hangs or is very"
        ),
    ):
        board_at(port, known_hosts, timeout=1).connect()


def test_a_key_that_is_refused_is_not_tried_again(known_hosts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PAUSE_SECONDS", 3600)
    with (
        serving(Board()) as server,
        pytest.raises(connection.Unreachable, match=r"^Could not connect: it refuses the password for root"),
    ):
        board_at(server.port, known_hosts, ssh_password="wrong").connect()


def test_a_login_that_is_not_decided_in_time_is_not_called_a_refusal() -> None:
    late = refusal_of(AuthenticationException("Authentication timeout."), {"ssh_user": "root"})
    assert str(late).startswith("it does not decide on the login") and late.may_pass


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "no such file here: set it to the path of a private key"),
        ("key.pub", "no private key, or ssh_key_password is another one: name the file without .pub"),
        ("locked", "it has a passphrase: `ssh-add .*locked` and no ssh_key, or set ssh_key_password"),
    ],
)
def test_a_key_file_that_is_none_is_one_line(known_hosts: str, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "key.pub").write_text("ssh-ed25519 AAAA pi\n")
    paramiko.RSAKey.generate(2048).write_private_key_file(str(tmp_path / "locked"), password="secret")
    with pytest.raises(connection.Unreachable, match=rf"^Could not connect: ssh_key is .*{name}: {said}$"):
        board_at(closed(), known_hosts, ssh_key=str(tmp_path / name)).connect()


def test_a_passphrase_that_nobody_can_be_asked_for_is_said(
    known_hosts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paramiko.RSAKey.generate(2048).write_private_key_file(str(tmp_path / "locked"), password="secret")
    monkeypatch.setattr("pyinfra.is_cli", True)
    monkeypatch.setattr("pyinfra.connectors.ssh_util.getpass", Mock(side_effect=EOFError))
    with pytest.raises(connection.Unreachable, match="it has a passphrase"):
        board_at(closed(), known_hosts, ssh_key=str(tmp_path / "locked")).connect()


def test_who_has_never_used_ssh_can_begin(tmp_path: Path) -> None:
    """pyinfra adds a host key to a file that is there, and only to one."""
    path = tmp_path / ".ssh" / "known_hosts"
    with serving(Board()) as server:
        board_at(server.port, str(path), ssh_strict_host_key_checking="accept-new").connect()
    assert f"[127.0.0.1]:{server.port}" in path.read_text()
    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize(
    ("name", "value", "kind"), [("ssh_port", "22", "a whole number"), ("ssh_password", 1234, "a text")]
)
def test_a_value_of_another_kind_is_named_with_its_board(name: str, value: object, kind: str) -> None:
    with pytest.raises(DeployError, match=f"^kitchen: {name} must be {kind}, in the inventory") as raised:
        board_at(22, "", 30, **{name: value})
    assert str(value) not in str(raised.value)


def test_a_name_with_a_slip_is_told_before_the_board_is_sought() -> None:
    with pytest.raises(DeployError, match=r"^kitchen: unknown setting ssh_hostnme: did you mean ssh_hostname\?$"):
        board_at(22, "", 30, ssh_hostnme="192.0.2.1")


def test_who_keeps_no_host_keys_needs_no_file_of_them() -> None:
    with serving(Board()) as server:
        board_at(server.port, "/proc/nowhere/known_hosts", ssh_strict_host_key_checking="off").connect()


def test_another_host_key_says_which_line_is_to_go(known_hosts: str) -> None:
    with serving(Board()) as server, serving(Board()) as other:
        name = f"[127.0.0.1]:{server.port}"
        Path(known_hosts).write_text(f"{name} {other.key.get_name()} {other.key.get_base64()}\n")
        with pytest.raises(
            connection.Unreachable,
            match=r"^Could not connect: its host key is another one than before: .* `ssh-keygen -R",
        ):
            board_at(server.port, known_hosts).connect()


def test_a_name_that_nobody_knows_is_one_line(known_hosts: str) -> None:
    with pytest.raises(
        connection.Unreachable, match=r"^Could not connect: nobody knows its name: look at the name in the inventory"
    ):
        board_at(22, known_hosts, ssh_hostname="kitchen.invalid").connect()


def test_a_command_that_the_board_does_not_take_is_given_up(known_hosts: str) -> None:
    with serving(Hanging()) as server:
        board = board_at(server.port, known_hosts)
        board.connect()
        done, _, errors = said_by(board, "true")
    assert not done
    assert re.fullmatch(r"no sign of life for \d s: it is off, hangs, or its network is gone", errors)
    assert board.lost == errors


def test_a_command_is_waited_for_as_long_as_its_board_lives(known_hosts: str) -> None:
    slow = Board()
    slow.hang.set()
    with serving(slow) as server:
        board = board_at(server.port, known_hosts)
        board.connect()
        ended: list[tuple[bool, str, str]] = []
        waiting = threading.Thread(target=lambda: ended.append(said_by(board, "true")), daemon=True)
        waiting.start()
        waiting.join(2 * board.may_be_silent())
        assert waiting.is_alive()
        assert not board.lost
        server.cut()
        waiting.join(60)
    assert ended == [(False, "", "the connection broke: it went off, restarts, or its network is gone")]


def test_a_board_that_comes_back_is_connected_again(known_hosts: str) -> None:
    with serving(Board()) as server:
        board = board_at(server.port, known_hosts)
        board.connect()
        server.cut()
        assert not said_by(board, "true")[0]
        board.return_to_it()
        assert not board.lost
        assert said_by(board, "echo again") == (True, "again", "")
