"""A monitor that runs: Debian's Prometheus with the configuration of a deploy, boards on the loopback, and the page."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.fleet.gateway.haproxy_files import haproxy_files
from deploy.fleet.monitor import monitor_places
from deploy.fleet.monitor.monitor_settings import USER
from deploy.fleet.monitor.story import units_of
from deploy.reference.dashboards import DASHBOARDS, Panel
from deploy.vm.ports import free_ports
from tests.engines import engine
from tests.monitor.boards import figures_server, node_exporter
from tests.monitor.monitored import PASSWORD, MonitorFolder, a_board, told
from tests.unit import running_gateway

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


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveMonitor]:
    """A monitor of four boards: one with a key, one of two models, one whose key is not known, one that is off.

    Before the board "lab" is a gateway, where requests wait.
    """
    folder = tmp_path_factory.mktemp("live")
    (port, nobody, figures) = free_ports(3)
    with ExitStack() as running:
        kitchen = running.enter_context(figures_server("the kitchen's key"))
        hall = running.enter_context(figures_server("another key"))
        exporter = running.enter_context(node_exporter(folder / "board"))
        running.enter_context(waiting_at_gateway(figures))
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
        config.write_text(config.read_text().replace("30s", "1s").replace("25s", "1s"))
        exporters = monitor.led(f"{monitor_places.FOLDER}/exporters.json")
        exporters.write_text(exporters.read_text().replace(":9100", f":{exporter}"))
        monitor.led(monitor_places.PAGE).mkdir(parents=True)
        process = subprocess.Popen([engine("prometheus"), *unit_arguments(monitor, port)], stderr=subprocess.DEVNULL)
        try:
            made = LiveMonitor(monitor, port)
            await_answer(made)
            yield made
        finally:
            process.terminate()
            process.wait()


@contextmanager
def waiting_at_gateway(port: int) -> Iterator[None]:
    """A gateway whose figures are read at that port. Its board has one slot, and is asked by three clients."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running_gateway, "haproxy_files", partial(files_with_figures, port=port))
        board = running_gateway.Board("lab", slots=1)
        board.mute = True
        with running_gateway.running([board]) as gateway, ThreadPoolExecutor(3) as clients:
            for _ in range(3):
                clients.submit(gateway.answered_by, "smol")
            yield
            board.mute = False


def files_with_figures(*words: Any, port: int) -> dict[str, bytes]:
    """haproxy's files, for a monitor on the same machine."""
    settings, table, places, user = words
    return haproxy_files(settings, table, replace(places, metrics_port=port), user, monitors=())


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


def test_the_page_shows_what_a_board_with_a_key_does(live: LiveMonitor) -> None:
    live.await_row("kitchen", [">4.0<", "2, 3 waiting", ">61<", "r0123456789a", "qwen3.5-2b.gguf", "2026-11-18"])


def test_the_models_of_a_board_are_added_up(live: LiveMonitor) -> None:
    live.await_row("lab", ["4, 6 waiting", ">4.0<"])


def test_an_alert_that_fires_marks_the_row_of_its_board(live: LiveMonitor) -> None:
    live.await_row("kitchen", ['class="bad"', "up, UnderVoltage"])


def test_the_page_says_how_many_wait_at_a_gateway(live: LiveMonitor) -> None:
    end = time.monotonic() + DEADLINE
    while '<p class="gateway good">gate &lt;1&gt;: up, 2 waiting, ' not in (page := live.made_page()):
        assert time.monotonic() < end, page
        time.sleep(1)


def test_a_gateway_tells_its_figures_to_monitors_alone(live: LiveMonitor) -> None:
    config = yaml.safe_load(live.monitor.led(f"{monitor_places.FOLDER}/prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    port = int(jobs["gateway gate <1>"]["static_configs"][0]["targets"][0].rpartition(":")[2])
    # haproxy may reset the connection before it is there, before the question, or after it.
    with suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), 10, ("127.0.0.2", 0)) as stranger:
        stranger.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert stranger.recv(100) == b""


def test_a_board_whose_key_nobody_knows_and_one_that_is_off_are_told_apart_from_one_that_works(
    live: LiveMonitor,
) -> None:
    for board in ("hall", "attic &amp; cellar"):
        assert ">down<" in live.await_row(board, [">down<"])


def test_the_page_asks_for_the_password_and_holds_none(live: LiveMonitor) -> None:
    live.rows()
    with pytest.raises(urllib.error.HTTPError, match="401"):
        live.look("/user/", login="")
    everything = "".join(live.look(f"/user/{name}") for name in ("", "fleet.js", "fleet.css", "metrics.txt"))
    assert PASSWORD not in everything and "key" not in live.look("/user/metrics.txt")


def test_prometheus_is_told_when_the_page_was_made(live: LiveMonitor) -> None:
    live.rows()
    end = time.monotonic() + DEADLINE
    while not found(live, "boardllama_page_timestamp_seconds"):
        assert time.monotonic() < end
        time.sleep(0.5)


@pytest.mark.parametrize("panel", [panel for panels in DASHBOARDS.values() for panel in panels], ids=str)
def test_every_query_of_the_dashboards_is_answered_by_what_boards_tell(live: LiveMonitor, panel: Panel) -> None:
    end = time.monotonic() + DEADLINE
    while not found(live, urllib.parse.quote(panel.query)):
        assert time.monotonic() < end, panel.query
        time.sleep(1)


def found(live: LiveMonitor, query: str) -> list[dict[str, Any]]:
    """Prometheus' answers to a query."""
    return list(json.loads(live.look(f"/api/v1/query?query={query}"))["data"]["result"])


def test_a_page_without_prometheus_says_so_and_still_names_the_boards(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    monitor = MonitorFolder(tmp_path, told(monitor_port=port), [a_board("kitchen")])
    monitor.led(monitor_places.PAGE).mkdir(parents=True)
    silent = LiveMonitor(monitor, port)
    done = silent.make_page()
    text = (silent.page / "index.html").read_text()
    assert done.returncode == 1 and "Prometheus told nothing" in done.stderr
    assert "Prometheus told nothing" in text and ">kitchen<" in text and "not seen" in text
