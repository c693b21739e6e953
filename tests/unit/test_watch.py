"""The watcher beside the server: real processes and a real socket."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from deploy.onboard import watch
from deploy.onboard.places import SWITCH_UNIT
from deploy.onboard.release import lease
from deploy.onboard.server import crowd as crowds
from deploy.onboard.server import launch
from deploy.onboard.service import OLLAMA
from deploy.stages.service import SERVER_UNIT
from tests.unit.watched import CROWDED, HANG_SECONDS, Service, crowd


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """One that is started."""
    running = Service(tmp_path)
    yield running
    running.end()


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Service]:
    """One that lets in 40 clients or so."""
    running = Service(tmp_path, CROWDED)
    while not running.started.exists():
        time.sleep(0.05)
    yield running
    running.end()


def test_a_start_is_over_when_the_server_answers(service: Service) -> None:
    assert service.ready().returncode == 0


def test_a_start_fails_when_the_process_is_gone(service: Service) -> None:
    service.status.write_text("503")
    service.process.kill()
    service.process.wait()
    assert service.ready().returncode == 1


def test_a_server_that_hangs_is_ended(service: Service) -> None:
    assert service.ready().returncode == 0
    time.sleep(0.5)
    service.process.send_signal(signal.SIGSTOP)
    assert service.process.wait(timeout=30) == -signal.SIGKILL


def test_a_server_that_answers_is_left_alone_and_one_that_stopped_answering_is_not(service: Service) -> None:
    assert service.ready().returncode == 0
    time.sleep(1.7 * HANG_SECONDS)
    assert service.process.poll() is None
    service.status.write_text("500")
    assert service.process.wait(timeout=30) == -signal.SIGKILL


def test_a_crowd_is_no_hang_and_a_hang_behind_a_crowd_is_one(crowded: Service) -> None:
    """The crowd stays four times as long as a hang is suffered; nobody else gets an answer meanwhile."""
    assert crowded.ready().returncode == 0
    time.sleep(0.5)
    with crowd(crowded.address, 200):
        with pytest.raises(requests.Timeout):
            requests.get(f"http://127.0.0.1:{crowded.address[1]}/health", timeout=3)
        time.sleep(4 * HANG_SECONDS - 3)
        assert crowded.process.poll() is None
        crowded.process.send_signal(signal.SIGSTOP)
        assert crowded.process.wait(timeout=30) == -signal.SIGKILL
    assert (crowded.folder / "hung").exists(), "the watcher says that it was it"


def test_a_crowd_that_comes_before_the_first_answer_does_not_make_the_start_fail(crowded: Service) -> None:
    with crowd(crowded.address, 200):
        assert crowded.ready().returncode == 0
    assert crowded.process.poll() is None


def test_a_start_behind_a_crowd_leaves_word_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If that start fails nevertheless, it does not count."""
    monkeypatch.setattr(watch, "CROWDED", str(tmp_path / "crowded"))
    monkeypatch.setattr(watch, "health_status", lambda: 0)
    monkeypatch.setattr(watch, "is_crowded", lambda: True)
    assert watch.until_started(os.getpid())
    assert (tmp_path / "crowded").exists()


def test_a_start_is_over_while_the_launcher_waits_for_a_disk(service: Service) -> None:
    service.status.write_text("503")
    (service.folder / "awaited").write_text("waiting for the disk of /mnt/x: nothing is mounted on /mnt/x")
    assert service.ready().returncode == 0


def test_the_first_answer_begins_a_new_count_of_starts(service: Service) -> None:
    service.status.write_text("503")
    (service.folder / "attempts").write_text("4")
    time.sleep(1)
    assert (service.folder / "attempts").exists()
    service.status.write_text("200")
    for _ in range(100):
        time.sleep(0.1 if (service.folder / "attempts").exists() else 0)
    assert not (service.folder / "attempts").exists()


def test_a_crowd_is_smaller_than_what_the_unit_lets_in_and_each_of_those_has_a_thread() -> None:
    """A dozen of the files are the server's own."""
    files = SERVER_UNIT["open_files"]
    assert isinstance(files, int)
    assert 20 < watch.CROWD < files - 12
    assert files <= launch.HTTP_THREADS
    assert launch.FIXED[launch.FIXED.index("--threads-http") + 1] == str(launch.HTTP_THREADS)


def test_connections_are_counted_whether_they_are_let_in_or_wait(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=8) as listener:
        address = listener.getsockname()
        clients = [socket.create_connection(address) for _ in range(3)]
        accepted, _ = listener.accept()
        assert len(watch.far_ends(address[1], watch.CONNECTED)) == 3
        assert len(watch.far_ends(address[1], watch.LISTENING)) == 1
        for one in (*clients, accepted):
            one.close()


def test_the_largest_part_of_a_crowd_is_named(tmp_path: Path) -> None:
    def row(end: str, state: str = "01") -> str:
        return f"   0: 0100007F:2CAA {end}:D431 {state} 00000000:00000000 00:00000000 00000000 0 0 4242 1\n"

    (tmp_path / "tcp").write_text(
        " sl local\n" + row("0701A8C0") * 30 + row("0801A8C0") * 5 + row("0901A8C0", "06") * 9
    )
    assert crowds.describe_crowd(11434, str(tmp_path)) == ""
    (tmp_path / "tcp6").write_text(" sl local\n" + row("0000000000000000FFFF00000701A8C0") * 10)
    said = crowds.describe_crowd(11434, str(tmp_path))
    assert said.startswith("45 connections to port 11434 are open, 40 of them from 192.168.1.7")
    assert crowds.describe_crowd(80, str(tmp_path)) == "" and crowds.describe_crowd(11434, str(tmp_path / "none")) == ""
    assert crowds.end_address("000080FE00000000FF005450B6AD1DFE:0016") == "fe80::5054:ff:fe1d:adb6"


def test_a_server_that_loads_is_given_its_time(service: Service) -> None:
    """The deadline of a start is systemd's."""
    service.status.write_text("503")
    time.sleep(1.7 * HANG_SECONDS)
    assert service.process.poll() is None


def test_nothing_answers_where_nothing_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "STARTED", str(tmp_path / "none"))
    assert not watch.is_healthy()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (tmp_path / "started").write_text(f"127.0.0.1 {silent.getsockname()[1]} /health\n")
        monkeypatch.setattr(watch, "STARTED", str(tmp_path / "started"))
        monkeypatch.setattr(watch, "ANSWER_SECONDS", 0.2)
        assert not watch.is_healthy()


def test_programs_that_import_nothing_name_the_same_places() -> None:
    """The watcher and the lease are small because they load no other file of ours."""
    names = [watch.STARTED, watch.AWAITED]
    assert [Path(name).name for name in names] == [OLLAMA.started.name, OLLAMA.awaited.name]
    assert SWITCH_UNIT == lease.SWITCH


def test_that_this_machine_cannot_ask_is_no_fault_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while its address is gone: here it is one that no interface has."""
    monkeypatch.setattr(watch, "STARTED", str(tmp_path / "started"))
    monkeypatch.setattr(watch, "RETRY_SECONDS", 0)
    (tmp_path / "started").write_text("fe80::1 11434 /health\n")
    assert watch.is_healthy() is None
    assert watch.is_heard(os.getpid())
