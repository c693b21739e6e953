"""A monitor that runs: Debian's Prometheus with the configuration of a deploy, boards on the loopback, and the page."""

import socket
import time
import urllib.error
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from deploy.fleet.monitor import monitor_places
from deploy.onboard.monitor.fleet import ALERTS, GATEWAY_QUERIES, QUERIES, RELEASES
from deploy.reference.dashboards import DASHBOARDS, Panel
from deploy.vm.ports import free_ports
from tests.monitor.live import DEADLINE, LiveMonitor, live_monitor
from tests.monitor.monitored import PASSWORD, MonitorFolder, a_board, told
from tests.monitor.selectors import rule_expressions, selectors_of


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveMonitor]:
    """A monitor for all tests of this file."""
    with live_monitor(tmp_path_factory.mktemp("live")) as monitor:
        monitor.made_page()
        yield monitor


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


@pytest.mark.parametrize("panel", [panel for panels in DASHBOARDS.values() for panel in panels], ids=str)
def test_every_query_of_the_dashboards_is_answered_by_what_boards_tell(live: LiveMonitor, panel: Panel) -> None:
    live.await_series(panel.query)


ASKED = {*rule_expressions(), *QUERIES.values(), *GATEWAY_QUERIES.values(), RELEASES, ALERTS}


@pytest.mark.parametrize("selector", sorted({one for query in ASKED for one in selectors_of(query)}))
def test_everything_that_an_alert_or_the_page_looks_at_is_told_by_a_real_program(
    live: LiveMonitor, selector: str
) -> None:
    """Each name with its labels: node exporter, haproxy, Prometheus, Alertmanager and the page's program are real.

    tests/board asks llama-server for what it tells, and tests/unit/test_figures.py our own file on a board.
    """
    live.await_series(selector)


def test_a_page_without_prometheus_says_so_and_still_names_the_boards(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    monitor = MonitorFolder(tmp_path, told(monitor_port=port), [a_board("kitchen")])
    monitor.led(monitor_places.PAGE).mkdir(parents=True)
    silent = LiveMonitor(monitor, port)
    done = silent.make_page()
    text = (silent.page / "index.html").read_text()
    assert done.returncode == 1 and "Prometheus told nothing" in done.stderr
    assert "Prometheus told nothing" in text and ">kitchen<" in text and "not seen" in text
