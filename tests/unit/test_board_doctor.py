"""`make doctor HOST=…` on this computer: what stands in the way of a board, and the visit when nothing does."""

import getpass
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.controller import progress
from deploy.doctor import __main__ as doctor
from deploy.doctor import network_checks, remote_doctor
from deploy.doctor.network_checks import SshDestination, check_login, check_name, check_ssh_port, find_destination
from deploy.errors import BoardllamaError
from deploy.onboard.commands import end_of
from deploy.onboard.doctor.lights import Light
from deploy.paths import REPO

# In the place of OpenSSH: `-G` tells options as it does, anything else is run here as the board would.
SSH = """#!/bin/sh
if [ "$1" = -G ]; then
    printf 'user %s\\nhostname 127.0.0.1\\nport {port}\\n' "{user}"
    echo "${{JUMP:+proxyjump $JUMP}}"
    exit
fi
{behaviour}
for last; do :; done
exec sh -c "$last"
"""


class Computer:
    """This computer, with a board at 127.0.0.1 whose SSH server greets and whose ssh behaves as it is told."""

    def __init__(self, folder: Path, number: int) -> None:
        self.program, self.number = folder / "ssh", number
        self.behave("")

    def behave(self, behaviour: str, user: str = "") -> None:
        """Shell text that runs before each command."""
        self.program.write_text(SSH.format(port=self.number, user=user or getpass.getuser(), behaviour=behaviour))
        self.program.chmod(0o755)

    @property
    def board(self) -> SshDestination:
        """As it is asked for."""
        return find_destination("kitchen")


@pytest.fixture
def computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Computer]:
    """One whose board is well."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=greet, args=(listening,), daemon=True).start()
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        yield Computer(tmp_path, listening.getsockname()[1])


def greet(listening: socket.socket) -> None:
    """As sshd does."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        connection.sendall(b"SSH-2.0-OpenSSH_10.0 Debian\r\n")
        connection.close()


def test_the_account_of_our_images_is_meant_unless_another_is_said(computer: Computer) -> None:
    assert computer.board.user == "board"
    assert find_destination("pi@kitchen").user == "pi"
    computer.behave("", user="chosen-in-ssh-config")
    assert computer.board.user == "chosen-in-ssh-config"


def test_addresses_and_ports_in_every_form(computer: Computer) -> None:
    for host, bare in (("10.0.0.2:2222", "10.0.0.2"), ("[fd00::2]:2222", "fd00::2"), ("a.local:2222", "a.local")):
        words = find_destination(host).ssh
        assert words[-1] == bare and "-oPort=2222" in words
    assert find_destination("fd00::2").ssh[-1] == "fd00::2"


@pytest.mark.parametrize("host", ["", "-oProxyCommand=evil", "a b", "a;b", "$(reboot)", "@x", "a:b", "x@-y"])
def test_what_is_no_host_is_refused_before_anything_runs(host: str) -> None:
    with pytest.raises(BoardllamaError, match="must be a name or an address"):
        find_destination(host)


def test_a_name_that_nobody_knows() -> None:
    light, text, *advice = check_name(SshDestination("x", "board", "no-such-board.invalid", 22, ()))
    assert (light, text) == (Light.BAD, "nobody knows the name no-such-board.invalid")
    assert "router's list" in advice[0]


def test_a_closed_port_and_one_that_says_nothing(computer: Computer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_ssh_port(computer.board)[0] is Light.GOOD
    monkeypatch.setattr(network_checks, "PORT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        number = silent.getsockname()[1]
        assert "does not answer" in check_ssh_port(replace(computer.board, number=number))[1]
    assert "is closed" in check_ssh_port(replace(computer.board, number=number))[1]


@pytest.mark.parametrize(
    ("said", "text", "advice"),
    [
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @",
            "another SSH key than before",
            "ssh-keygen -R '[127.0.0.1]",
        ),
        ("board@127.0.0.1: Permission denied (publickey).", "does not let board in", "boardllama.txt (ssh_key = …)"),
        ("kex_exchange_identification: Connection closed by remote host", "hung up", "wait a minute"),
        ("something new", "something new", "shows it too"),
    ],
)
def test_a_refused_login_says_why(computer: Computer, said: str, text: str, advice: str) -> None:
    computer.behave(f"echo '{said}' >&2; exit 255")
    light, seen, *todo = check_login(computer.board)
    assert light is Light.BAD
    assert text in seen and advice in todo[0]


def test_a_login_that_hangs_is_given_up(computer: Computer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_checks, "LOGIN_SECONDS", 0.5)
    computer.behave("exec sleep 30")
    assert "no login within" in check_login(computer.board)[1]


def test_the_board_looks_at_itself_with_what_we_send(computer: Computer, capsys: pytest.CaptureFixture[str]) -> None:
    """This machine is the board: it has no release, and its real facts are told."""
    assert doctor.diagnose_host(["kitchen", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in told["outside"]] == ["name", "ping", "port", "login"]
    assert {row["name"]: row["light"] for row in told["lines"]}["release"] == "BAD"
    assert doctor.diagnose_host(["kitchen"]) == 1
    assert "deploy to this board" in capsys.readouterr().out


def test_only_ssh_knows_a_board_behind_another_host(
    computer: Computer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither its name nor its port leads anywhere from here."""
    monkeypatch.setenv("JUMP", "gate.example")
    monkeypatch.setattr(computer, "number", 1)
    computer.behave("")
    assert doctor.diagnose_host(["kitchen", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["text"]) for row in told["outside"]] == [
        ("way", "through gate.example"),
        ("login", f"as {computer.board.user}"),
    ]


def test_nothing_stays_on_the_board(computer: Computer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    remote_doctor.run_remote_doctor(computer.board)
    assert [path.name for path in tmp_path.iterdir()] == ["ssh"]


def test_a_board_without_python_or_with_a_full_disk_is_a_red_line(
    computer: Computer, capsys: pytest.CaptureFixture[str]
) -> None:
    full = 'echo "mktemp: No space left on device" >&2; exit 1'
    computer.behave(f'for last; do :; done; test "$last" = true || {{ {full}; }}')
    assert doctor.diagnose_host(["kitchen"]) == 1
    assert "it cannot look at itself: mktemp: No space left" in capsys.readouterr().out


def test_a_visit_that_hangs_says_so_meanwhile_and_ends(
    computer: Computer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PERIOD", 0.2)
    monkeypatch.setattr(remote_doctor, "DEADLINE", 0.5)
    computer.behave("exec sleep 30")
    with pytest.raises(BoardllamaError, match="did not finish"):
        remote_doctor.run_remote_doctor(computer.board)
    assert "the board: looks at itself, 0 s" in capsys.readouterr().err


def test_an_unreachable_board_is_a_list_of_things_to_look_at(
    computer: Computer, capsys: pytest.CaptureFixture[str]
) -> None:
    computer.number = 1
    computer.behave("")
    assert doctor.diagnose_host(["kitchen"]) == 1
    said = capsys.readouterr().out
    assert said.index("power") < said.index("cable") < said.index("boardllama-errors.txt")
    assert len(said.splitlines()) < 24
    assert all(len(line) <= 120 for line in said.splitlines())


def test_make_says_what_is_missing() -> None:
    done = end_of("make", "-C", str(REPO), "--no-print-directory", "doctor", "-n", "HOST=", deadline=30)
    assert done and done.returncode == 2
    assert "make doctor HOST=" in done.stderr
