"""The watcher beside the server: real processes and a real socket."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.onboard import lease, places, watch

SERVER = """
import http.server, os, subprocess, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(open(sys.argv[3]).read()))
        self.end_headers()
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
open(sys.argv[1], "w").write(f"127.0.0.1 {server.server_port}\\nrelease r1\\n")
subprocess.Popen([sys.executable, "-IS", sys.argv[2], "watch"])
server.serve_forever()
"""


class Service:
    """A server that answers what `status` says, with its watcher, in a hurry."""

    def __init__(self, folder: Path) -> None:
        self.started, self.status, program = folder / "started", folder / "status", folder / "watch.py"
        self.status.write_text("200")
        text = Path(watch.__file__).read_text().replace(watch.STARTED, str(self.started))
        program.write_text(text.replace("_SECONDS = 10.0", "_SECONDS = 1.0").replace("= 30.0", "= 3.0"))
        self.program = str(program)
        command = [sys.executable, "-c", SERVER, str(self.started), self.program, str(self.status)]
        self.process = subprocess.Popen(command)

    def ready(self) -> subprocess.CompletedProcess[bytes]:
        """As ExecStartPost runs it."""
        environment = os.environ | {"MAINPID": str(self.process.pid)}
        return subprocess.run([sys.executable, "-IS", self.program, "ready"], env=environment, timeout=30, check=False)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """One that is started."""
    running = Service(tmp_path)
    yield running
    running.process.kill()
    running.process.wait()


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
    time.sleep(5)
    assert service.process.poll() is None
    service.status.write_text("500")
    assert service.process.wait(timeout=30) == -signal.SIGKILL


def test_a_server_that_loads_is_given_its_time(service: Service) -> None:
    """The deadline of a start is systemd's."""
    service.status.write_text("503")
    time.sleep(5)
    assert service.process.poll() is None


def test_nothing_answers_where_nothing_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "STARTED", str(tmp_path / "none"))
    assert not watch.answers()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (tmp_path / "started").write_text(f"127.0.0.1 {silent.getsockname()[1]}\n")
        monkeypatch.setattr(watch, "STARTED", str(tmp_path / "started"))
        monkeypatch.setattr(watch, "ANSWER_SECONDS", 0.2)
        assert not watch.answers()


def test_programs_that_import_nothing_name_the_same_places() -> None:
    """The watcher and the lease are small because they load no other file of ours."""
    assert str(places.STARTED) == watch.STARTED
    assert places.SWITCH_UNIT == lease.SWITCH
