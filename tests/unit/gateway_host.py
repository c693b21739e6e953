"""A host whose haproxy systemd runs: real haproxy, real files, and one program in the place of systemctl."""

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from deploy.fleet.gateway import gateway_files
from deploy.fleet.gateway.gateway_files import GatewayFiles, load_files
from deploy.fleet.gateway.haproxy_files import haproxy_files
from deploy.hosts.release import sha256_hex
from deploy.hosts.snapshot import Snapshot
from deploy.onboard.gateway.board_table import BoardTable
from deploy.onboard.gateway.gateway_places import GatewayPlaces
from deploy.vm.ports import free_ports
from tests.unit.known_host import KnownHost, program
from tests.unit.running_gateway import NAMES, gateway_settings

__all__ = ["GatewayHost", "gateway_host"]

# As haproxy.service does it: `unit` is what ExecStart says now, `loaded` what systemd has read of it.
SYSTEMCTL = """
import os, signal, socket, subprocess, sys, time
from pathlib import Path
folder = Path({folder!r})
unit, loaded, pid = folder / "unit", folder / "loaded", folder / "pid"
word, *rest = sys.argv[1:]
running = pid.exists() and Path("/proc", pid.read_text()).exists()
if word == "show":
    print({{"MainPID": pid.read_text() if running else "0",
           "NeedDaemonReload": "no" if unit.read_text() == loaded.read_text() else "yes"}}[rest[1]])
elif word == "daemon-reload":
    loaded.write_text(unit.read_text())
elif word in ("restart", "reload-or-restart") and rest == ["haproxy.service"]:
    if running and word == "reload-or-restart":
        os.kill(int(pid.read_text()), signal.SIGUSR2)
    else:
        if running:
            os.kill(int(pid.read_text()), signal.SIGTERM)
        while running and Path("/proc", pid.read_text()).exists():
            time.sleep(0.02)
        log, told = open(folder / "log", "ab"), str(folder / "notify")
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        Path(told).unlink(missing_ok=True)
        ready.bind(told)
        ready.settimeout(0.1)
        words, env = ["setsid", "haproxy", "-Ws", *loaded.read_text().split()], os.environ | {{"NOTIFY_SOCKET": told}}
        new = subprocess.Popen(words, stdout=log, stderr=log, env=env)
        pid.write_text(str(new.pid))
        while new.poll() is None:
            try:
                if b"READY=1" in ready.recv(1000):
                    sys.exit()
            except TimeoutError:
                pass
        pid.unlink()
        sys.exit(1)
"""


class GatewayHost:
    """`folder`: all of it. It is told what to load as a deploy tells it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.programs = folder, folder / "programs"
        self.port, challenge = free_ports(2)
        self.places = GatewayPlaces(folder / "etc", folder / "lib", folder / "run", 1, challenge_port=challenge)
        self.places.runtime.mkdir()
        self.record = folder / "records" / "haproxy.cfg"
        self.write_unit(f"-S {self.places.master_socket} -C {self.places.config} -f haproxy.cfg")
        (folder / "loaded").write_text((folder / "unit").read_text())
        self.programs.mkdir()
        program(self.programs / "systemctl", SYSTEMCTL.format(folder=str(folder)), sys.executable)
        program(self.programs / "journalctl", f"cat {folder}/log")
        self.remote = KnownHost(Snapshot())

    def write_unit(self, words: str) -> None:
        """What haproxy.service says from now on, until it is read."""
        (self.folder / "unit").write_text(words)

    def systemctl(self, *words: str) -> str:
        return subprocess.run(
            [self.programs / "systemctl", *words], stdout=subprocess.PIPE, text=True, check=True
        ).stdout.strip()

    @property
    def pid(self) -> str:
        """haproxy's master."""
        return self.systemctl("show", "-P", "MainPID", "haproxy.service")

    def files(self, table: BoardTable, kept: bytes | None = None, **told: Any) -> GatewayFiles:
        """What a deploy would bring."""
        settings = gateway_settings(self.folder, **{"gateway_port": self.port} | told)
        user = pwd.getpwuid(os.getuid()).pw_name
        there = self.places.table.read_bytes() if self.places.table.exists() else b""
        texts = haproxy_files(settings, table, self.places, NAMES, user)
        return GatewayFiles(texts, kept, {"boardllama-gateway": b"# ours"}, "", {}, sha256_hex(there))

    def load(self, files: GatewayFiles) -> None:
        """As a deploy does it. Raises BoardllamaError."""
        with self.remote.turn(executing=True):
            load_files(self.remote.remote, files, self.places)

    @property
    def state(self) -> dict[str, bytes]:
        """All files that a load may change, by path."""
        folders = (self.places.config, self.places.programs, self.record.parent)
        return {str(path): path.read_bytes() for one in folders for path in sorted(one.rglob("*")) if path.is_file()}

    def end(self) -> None:
        if (pid := int(self.pid)) > 0:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


@pytest.fixture
def gateway_host(monkeypatch: pytest.MonkeyPatch) -> Iterator[GatewayHost]:
    """One whose haproxy does not run yet, in a folder whose path leaves room for the names of sockets."""
    with TemporaryDirectory(prefix="gw-", dir="/tmp") as folder:
        made = GatewayHost(Path(folder))
        monkeypatch.setenv("PATH", f"{made.programs}:{os.environ['PATH']}:/usr/sbin")
        monkeypatch.setattr(gateway_files, "record_path", lambda path: str(made.record))
        yield made
        made.end()
