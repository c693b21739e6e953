"""docs/reference/grafana/: dashboards for whoever has Grafana, which Debian has not. Each is a table of panels below.

tests/monitor asks a live Prometheus each of their queries, and the queries name what boards tell.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from deploy.paths import REPO

FOLDER = REPO / "docs/reference/grafana"
# The version of Grafana's format that these fields are of: Grafana 9 and newer read it, and bring it up to their own.
SCHEMA_VERSION = 37
WIDTH, HEIGHT = 12, 8  # of a panel, where a dashboard is 24 wide
SOURCE = {"type": "prometheus", "uid": "${source}"}


class Panel(NamedTuple):
    """A graph. `unit` as Grafana names it; `legend` of a line, from the labels of its series."""

    title: str
    query: str
    unit: str = "short"
    legend: str = "{{board}}"


DASHBOARDS: dict[str, tuple[Panel, ...]] = {
    "fleet": (
        Panel("Boards that answer", "sum(board:up:max)", legend="boards"),
        Panel(
            "Tokens of answers per second, all boards", "sum(rate(llamacpp:tokens_predicted_total[5m]))", legend="all"
        ),
        Panel("Tokens per second of an answer", "board:tokens_per_second:rate5m"),
        Panel("Tokens of prompts per second", "sum by (board) (rate(llamacpp:prompt_tokens_total[5m]))"),
        Panel("Requests that run", "board:requests_running:sum"),
        Panel("Requests that wait", "board:requests_waiting:sum"),
        Panel("Heat", "board:temperature_celsius:max", "celsius"),
        Panel("Boards by release", "count by (release) (boardllama_release_info)", legend="{{release}}"),
        Panel("Alerts", 'count by (alertname) (ALERTS{alertstate="firing"})', legend="{{alertname}}"),
    ),
    "boards": (
        Panel("Processor", '1 - avg by (board) (rate(node_cpu_seconds_total{mode="idle"}[5m]))', "percentunit"),
        Panel("Load of a minute", "node_load1"),
        Panel("Memory that is left", "node_memory_MemAvailable_bytes", "bytes"),
        Panel(
            "Disk that is left",
            'min by (board, mountpoint) (node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|overlay|squashfs|vfat"})',
            "bytes",
            "{{board}} {{mountpoint}}",
        ),
        Panel("Network, received", 'sum by (board) (rate(node_network_receive_bytes_total{device!="lo"}[5m]))', "Bps"),
        Panel("Network, sent", 'sum by (board) (rate(node_network_transmit_bytes_total{device!="lo"}[5m]))', "Bps"),
        Panel("Too little voltage", "board:undervoltage:max"),
        Panel("Clock, against the monitor's", "node_time_seconds - timestamp(node_time_seconds)", "s"),
        Panel("Tokens per second at the gate", "boardllama_tokens_per_second_gate"),
        Panel("Since the last switch", "time() - boardllama_release_committed_timestamp_seconds", "s"),
    ),
}


def dashboard_files() -> dict[Path, str]:
    """The text of every dashboard, as it must be, by its path."""
    return {
        FOLDER / f"{name}.json": f"{json.dumps(dashboard(name, panels), indent=1, ensure_ascii=False)}\n"
        for name, panels in DASHBOARDS.items()
    }


def dashboard(name: str, panels: tuple[Panel, ...]) -> dict[str, Any]:
    """A dashboard as Grafana imports it; which Prometheus it asks is chosen at its top."""
    choice = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": f"boardllama-{name}",
        "title": f"boardllama: {name}",
        "schemaVersion": SCHEMA_VERSION,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [choice]},
        "panels": [graph(number, panel) for number, panel in enumerate(panels)],
    }


def graph(number: int, panel: Panel) -> dict[str, Any]:
    """A panel as Grafana has it, two in a row."""
    row, column = divmod(number, 24 // WIDTH)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [{"refId": "A", "datasource": SOURCE, "expr": panel.query, "legendFormat": panel.legend}],
    }
