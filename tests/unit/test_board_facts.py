"""The doctor's facts, out of what boards' files and programs say."""

import errno
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.onboard.commands import ProgramFailed, run_command
from deploy.onboard.doctor import facts, looks, reach, system
from deploy.onboard.places import PLACES
from deploy.onboard.service import OLLAMA
from tests.services import paths_below

ADDRESSES = [
    {"ifname": "lo", "flags": ["LOOPBACK", "UP", "LOWER_UP"], "addr_info": [{"family": "inet", "local": "127.0.0.1"}]},
    {
        "ifname": "end0",
        "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
        "addr_info": [
            {"family": "inet", "local": "192.168.1.20", "prefixlen": 24, "scope": "global"},
            {"family": "inet6", "local": "fe80::1", "prefixlen": 64, "scope": "link"},
        ],
    },
    {"ifname": "wlan0", "flags": ["NO-CARRIER", "BROADCAST", "UP"], "addr_info": []},
    {"ifname": "docker0", "flags": ["UP", "LOWER_UP"], "addr_info": []},
    {},
]
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0
"""


def write(path: Path, text: str) -> Path:
    """A file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_cards_are_the_real_ones_and_a_link_is_what_the_kernel_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "run_command", lambda *words, deadline: json.dumps(ADDRESSES))
    write(tmp_path / "end0/device/x", "")
    write(tmp_path / "wlan0/device/x", "")
    write(tmp_path / "wlan0/wireless/x", "")
    assert reach.network_cards(tmp_path) == [("end0", False, True, ("192.168.1.20",)), ("wlan0", True, False, ())]


def test_the_gateway_of_either_family(monkeypatch: pytest.MonkeyPatch) -> None:
    routes = {
        "-4": [{"dst": "default", "dev": "ppp0"}],
        "-6": [{"dst": "default", "gateway": "fe80::1", "dev": "end0"}],
    }
    monkeypatch.setattr(reach, "run_command", lambda _ip, _json, family, *words, deadline: json.dumps(routes[family]))
    assert reach.default_gateway() == "fe80::1"
    routes["-6"] = []
    with pytest.raises(LookupError):
        reach.default_gateway()


def test_a_family_that_is_switched_off_hides_no_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(_ip: str, _json: str, family: str, *words: str, deadline: float) -> str:
        if family == "-4":
            raise ProgramFailed("ip: Address family not supported by protocol")
        return json.dumps([{"dst": "default", "gateway": "fe80::1", "dev": "end0"}])

    monkeypatch.setattr(reach, "run_command", shown)
    assert reach.default_gateway() == "fe80::1"


def test_a_router_that_refuses_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = listening.getsockname()[1]
    monkeypatch.setattr(reach, "WEB_PORT", closed)
    assert reach.answers_arp("127.0.0.1")


@pytest.mark.parametrize(
    "error", [TimeoutError(), OSError(errno.EHOSTUNREACH, ""), OSError(errno.ENETUNREACH, "")], ids=repr
)
@pytest.mark.parametrize(
    ("states", "there"),
    [
        (["DELAY", "REACHABLE"], True),
        (["DELAY", "PROBE", "FAILED"], False),
        (["PROBE"] * 9, False),
        (["FAILED"], False),
        (["PERMANENT"], True),
        ([None], False),
    ],
)
def test_a_silent_router_is_judged_by_the_wire(
    monkeypatch: pytest.MonkeyPatch, states: list[str | None], there: bool, error: OSError
) -> None:
    """One that was there a minute ago is asked again by the kernel, and no answer until it has given up.

    "Unreachable" is said by the kernel of a machine that is not there, and by the firewall of one that is.
    """

    def silent(place: object, timeout: float) -> socket.socket:
        raise error

    monkeypatch.setattr(socket, "create_connection", silent)
    shown = [json.dumps([{"dst": "192.0.2.1", "state": [state]}] if state else []) for state in states]
    monkeypatch.setattr(reach, "run_command", lambda *words, deadline: shown.pop(0) if len(shown) > 1 else shown[0])
    monkeypatch.setattr(reach, "KNOWN_SECONDS", 0.3)
    pause = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: pause(seconds / 50))
    assert reach.answers_arp("192.0.2.1") == there


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """One socket, where questions go."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        monkeypatch.setattr(reach, "DNS_PORT", server.getsockname()[1])
        monkeypatch.setattr(reach, "DNS_SECONDS", 0.3)
        yield server


def test_a_name_server_that_answers_in_any_way_is_there(name_server: socket.socket) -> None:
    def answer() -> None:
        question, who = name_server.recvfrom(512)
        name_server.sendto(question[:2] + b"\x84\x05", who)

    threading.Thread(target=answer, daemon=True).start()
    assert reach.answers_dns("127.0.0.1")


def test_a_silent_name_server_is_given_up(name_server: socket.socket) -> None:
    assert not reach.answers_dns("127.0.0.1")
    assert not reach.answers_dns("not an address at all")


def test_the_name_servers_behind_systemd_resolved(tmp_path: Path) -> None:
    stub = write(tmp_path / "resolv.conf", "# stub\nnameserver 127.0.0.53\noptions edns0\n")
    write(tmp_path / "run/resolv.conf", "nameserver 192.168.1.1\nnameserver fd00::1\n")
    assert reach.name_servers(stub, tmp_path / "run") == ("192.168.1.1", "fd00::1")
    assert reach.name_servers(write(tmp_path / "own", "nameserver 9.9.9.9\n"), tmp_path / "run") == ("9.9.9.9",)
    assert reach.name_servers(tmp_path / "none", tmp_path) == ("192.168.1.1", "fd00::1")[:0]


def test_a_disk_that_holds_its_reader_is_given_up() -> None:
    waiting = threading.Event()
    with pytest.raises(TimeoutError, match="no answer within 0 s"):
        looks.in_time(waiting.wait, 0.05)
    waiting.set()
    with pytest.raises(FileNotFoundError):
        looks.in_time(Path("/nonexistent/x").stat, 5)


def test_a_folder_that_cannot_be_looked_at_hides_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    stat = os.statvfs

    def stale(folder: Path) -> os.statvfs_result:
        if folder == OLLAMA.models:
            raise OSError(errno.ESTALE, "Stale file handle")
        return stat(folder)

    monkeypatch.setattr(os, "statvfs", stale)
    assert facts.distinct_file_systems((Path("/"), OLLAMA.models))[0].folder == "/"


@pytest.mark.parametrize(("state", "listens"), [("0A", True), ("01", False)])
def test_a_connection_is_not_a_listener(tmp_path: Path, state: str, listens: bool) -> None:
    write(tmp_path / "tcp", TCP.format(state=state))
    write(tmp_path / "tcp6", "heading\n")
    assert system.is_listening(22, tmp_path) is listens


@pytest.mark.parametrize("family", ["tcp", "tcp6"])
def test_a_family_that_is_switched_off_hides_no_listener(tmp_path: Path, family: str) -> None:
    """With ipv6.disable=1 there is no /proc/net/tcp6."""
    write(tmp_path / family, TCP.format(state="0A"))
    assert system.is_listening(22, tmp_path)
    assert looks.value_or_none(lambda: system.is_listening(22, tmp_path / "none")) is None


@pytest.mark.parametrize(
    ("settings", "there"),
    [
        ("port 22\nport 2222\n", True),
        ("port 2200\n", False),
        ("port 2200\nlistenaddress 192.168.1.2:2222\nlistenaddress [::]:2200\n", True),
        ("", False),
    ],
)
def test_the_ssh_server_may_listen_elsewhere(monkeypatch: pytest.MonkeyPatch, settings: str, there: bool) -> None:
    """An old OpenSSH does not say its settings: then it is port 22."""

    def said(*words: str, deadline: float) -> str:
        if not settings:
            raise ProgramFailed("unknown option -- G")
        return settings

    monkeypatch.setattr(system, "run_command", said)
    monkeypatch.setattr(system, "is_listening", lambda port: port == 2222)
    assert system.is_ssh_listening() is there


def test_one_file_system_is_one_disk(tmp_path: Path) -> None:
    found = facts.distinct_file_systems((Path("/"), tmp_path, tmp_path, Path("/run")))
    assert found[0].folder == "/" and found[0].size >= found[0].free > 0
    assert len({disk.folder for disk in found}) == len(found) <= 3


def test_a_machine_that_tells_nothing_is_looked_at_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No systemd, no ip, no release: everything is for itself."""

    def nothing(*words: str, deadline: float = 0) -> str:
        raise ProgramFailed(f"no {words[0]}")

    for module in (facts, reach, system):
        monkeypatch.setattr(module, "run_command", nothing)
    monkeypatch.setattr(facts, "name_servers", lambda: ())
    found = facts.collect_facts(paths_below(tmp_path, PLACES))
    assert (found.interfaces, found.releases, found.identity) == (None, (), None)
    assert [(service.unit, service.model) for service in found.services] == [(None, None)]
    assert found.host == os.uname().nodename


def test_a_program_that_hangs_is_given_up() -> None:
    with pytest.raises(ProgramFailed, match="sleep did not end within 0 s"):
        run_command("sleep", "30", deadline=0.05)
    with pytest.raises(ProgramFailed, match="sh: oh no"):
        run_command("sh", "-c", "echo oh no >&2; exit 3")
