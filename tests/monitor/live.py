"""A monitor that runs: Prometheus and Alertmanager as a deploy tells them, boards on the loopback, and the page."""

import base64
import json
import os
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.fleet.gateway.haproxy_files import haproxy_files
from deploy.fleet.monitor import monitor_places
from deploy.fleet.monitor.monitor_settings import USER
from deploy.fleet.monitor.story import units_of
from deploy.vm.ports import free_ports
from tests.certificates import Authority
from tests.engines import PACKAGES, engine, engine_folder
from tests.monitor.boards import figures_server, node_exporter
from tests.monitor.monitored import PASSWORD, MonitorFolder, a_board, told
from tests.unit import running_gateway
from tests.unit.gateway_board import Board

DEADLINE = 120.0
LOGIN = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class LiveMonitor:
    """A monitor that runs in a folder."""

    def __init__(self, monitor: MonitorFolder, port: int) -> None:
        self.monitor, self.port = monitor, port
        self.page = monitor.led(monitor_places.PAGE)

    def look(self, path: str, login: str = LOGIN) -> str:
        """What Prometheus answers with. Raises HTTPError, URLError."""
        headers = {"Authorization": f"Basic {login}"} if login else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return str(answer.read().decode())

    def await_series(self, query: str) -> None:
        """Returns when Prometheus has an answer to the query."""
        end = time.monotonic() + DEADLINE
        while not json.loads(self.look(f"/api/v1/query?query={urllib.parse.quote(query)}"))["data"]["result"]:
            assert time.monotonic() < end, query
            time.sleep(1)

    def make_page(self) -> subprocess.CompletedProcess[str]:
        """Runs the page's program as its unit does."""
        programs, config = self.monitor.led(monitor_places.PROGRAMS), self.monitor.led(monitor_places.FOLDER)
        return subprocess.run(
            [sys.executable, "-sS", "-m", "onboard.monitor", config / "page.json", self.page],
            env=os.environ | {"PYTHONPATH": str(programs)},
            capture_output=True,
            text=True,
            check=False,
        )

    def made_page(self) -> str:
        """The page as it is now."""
        assert self.make_page().returncode == 0
        return self.look("/user/")

    def rows(self) -> dict[str, str]:
        """The rows of the page by their boards' names, as HTML."""
        lines = [line for line in self.made_page().splitlines() if line.startswith("<tr class")]
        return {line.split('data-name="board">')[1].split("<")[0]: line for line in lines}

    def await_row(self, board: str, words: list[str]) -> str:
        """The board's row, once it holds the words."""
        end = time.monotonic() + DEADLINE
        while True:
            row = self.rows().get(board, "")
            if all(word in row for word in words):
                return row
            assert time.monotonic() < end, (row, self.look("/api/v1/targets"))
            time.sleep(1)


@contextmanager
def live_monitor(folder: Path) -> Iterator[LiveMonitor]:
    """A monitor of four boards: one with a key, one of two models, one whose key is not known, one that is off.

    Before the board "lab" is a gateway, where requests wait.
    """
    (port, nobody, figures, alerts) = free_ports(4)
    with ExitStack() as running:
        kitchen = running.enter_context(figures_server("the kitchen's key"))
        hall = running.enter_context(figures_server("another key"))
        exporter = running.enter_context(node_exporter(folder / "board"))
        running.enter_context(waiting_at_gateway(figures))
        certificate = running.enter_context(certificate_server(folder))
        boards = [
            a_board("kitchen", kitchen, keyed=True, exporter=True),
            a_board("lab", kitchen, keyed=True, models=("chat", "vectors:1")),
            a_board("hall", hall, keyed=True),
            a_board("attic & cellar", nobody),
        ]
        gateways = {"gate <1>": f"127.0.0.1:{figures}"}
        monitor = MonitorFolder(folder, told(monitor_port=port, monitor_password=PASSWORD), boards, gateways)
        for name in ("kitchen", "lab"):
            monitor.write(monitor.led(f"{monitor_places.KEYS}/{name}"), "the kitchen's key\n")
        config = monitor.led(f"{monitor_places.FOLDER}/prometheus.yml")
        config.write_text(config.read_text().replace("30s", "1s").replace("25s", "1s").replace(":9093", f":{alerts}"))
        page = monitor.led(f"{monitor_places.FOLDER}/page.json")
        page.write_text(json.dumps(json.loads(page.read_text()) | {"certificates": [f"127.0.0.1:{certificate}"]}))
        exporters = monitor.led(f"{monitor_places.FOLDER}/exporters.json")
        exporters.write_text(exporters.read_text().replace(":9100", f":{exporter}"))
        monitor.led(monitor_places.PAGE).mkdir(parents=True)
        running.enter_context(program(*alertmanager_words(config.with_name("alertmanager.yml"), alerts)))
        running.enter_context(program(engine("prometheus"), *unit_arguments(monitor, port)))
        made = LiveMonitor(monitor, port)
        await_answer(made)
        yield made


@contextmanager
def program(name: str, *words: str) -> Iterator[None]:
    """A program that runs."""
    with subprocess.Popen([name, *words], stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def alertmanager_words(config: Path, port: int) -> list[str]:
    """The command line of an Alertmanager, whose templates lie where its package would have them."""
    share = str(engine_folder(PACKAGES["prometheus-alertmanager"]) / "usr/share/prometheus")
    own = ["--dev-bind", "/", "/", "--tmpfs", "/usr/share", "--ro-bind", share, "/usr/share/prometheus"]
    told = [f"--config.file={config}", f"--storage.path={config.parent}/alerts", "--cluster.listen-address="]
    listening = f"--web.listen-address=127.0.0.1:{port}"
    return ["bwrap", "--die-with-parent", *own, engine("prometheus-alertmanager"), *told, listening]


@contextmanager
def certificate_server(folder: Path) -> Iterator[int]:
    """The port of a server that shows a certificate, as a gateway does."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = Authority(folder).context().wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@contextmanager
def waiting_at_gateway(port: int) -> Iterator[None]:
    """A gateway whose figures are read at that port. Its board has one slot, and is asked by three clients."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running_gateway, "haproxy_files", partial(files_with_figures, port=port))
        board = Board("lab", slots=1)
        board.mute = True
        with running_gateway.running([board]) as gateway, ThreadPoolExecutor(3) as clients:
            for _ in range(3):
                clients.submit(ask_until_answered, gateway)
            yield
            board.mute = False


def ask_until_answered(gateway: running_gateway.RunningGateway) -> str:
    """A client that asks again when it has waited for too long: three of them wait for as long as the board is mute."""
    while True:
        with suppress(OSError):
            return gateway.answered_by("smol")


def files_with_figures(*words: Any, port: int) -> dict[str, bytes]:
    """haproxy's files, for a monitor on the same machine."""
    settings, table, places, names, user = words
    return haproxy_files(settings, table, replace(places, metrics_port=port), names, user, monitors=())


def unit_arguments(monitor: MonitorFolder, port: int) -> list[str]:
    """The arguments of Prometheus in its unit, led into the folder."""
    units = units_of(told(monitor_port=port))
    line = next(file.content for file in units if "/prometheus.service.d/" in file.dest).split("prometheus --")[1]
    words = [f"--{word.strip()}" for word in line.replace("\\\n", " ").split(" --")]
    places = (monitor_places.FOLDER, monitor_places.PAGE, "/var/lib/prometheus/metrics2")
    for place in places:
        words = [word.replace(place, str(monitor.led(place))) for word in words]
    return words


def await_answer(live: LiveMonitor) -> None:
    """Returns when Prometheus is ready."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            live.look("/-/ready")
            return
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.2)
