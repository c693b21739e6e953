"""The boards of a fleet as a table: what Prometheus knows of them now, and what the last deploys left of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..json_parts import parse_json
from .prometheus import Labels, number_or_none

# What is asked, by the name of the value. Answers bear the label `board`.
QUERIES = {
    "up": "board:up:max",
    "server": 'min by (board) (up{job="llama"})',
    "rate": "last_over_time(board:tokens_per_second:rate5m[1h])",
    "gate": "max by (board) (boardllama_tokens_per_second_gate)",
    "running": "board:requests_running:sum",
    "waiting": "board:requests_waiting:sum",
    "heat": "board:temperature_celsius:max",
    "deployed": "max by (board) (boardllama_release_committed_timestamp_seconds)",
}
RELEASES = "boardllama_release_info"
ALERTS = 'ALERTS{alertstate="firing", board!=""}'

# The same of gateways, whose answers bear the label `gateway`.
GATEWAY_QUERIES = {
    "up": 'max by (gateway) (up{job="gateway"})',
    "waiting": "gateway:requests_waiting:sum",
    "rate": "gateway:requests:rate5m",
    "errors": "gateway:errors:rate5m",
}
GATEWAY_ALERTS = 'ALERTS{alertstate="firing", gateway!=""}'

Ask = Callable[[str], list[tuple[Labels, float]]]


@dataclass(frozen=True)
class FleetRow:
    """A board. What is not known is None or "". `rate`: tokens/s of the last hour's answers, else what the gate
    measured. `deployed`: seconds since 1970. `alerts`: the names of those that fire.
    """

    board: str
    kind: str = ""
    up: bool | None = None
    server: bool | None = None
    model: str = ""
    rate: float | None = None
    running: int | None = None
    waiting: int | None = None
    heat: float | None = None
    release: str = ""
    deployed: float | None = None
    alerts: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """The board in a word or two."""
        if self.up is None:
            return "not seen"
        return "down" if not self.up else "server down" if self.server is False else "up"

    def cells(self) -> dict[str, str]:
        """The texts of the row by their columns, "-" for what is not known."""
        waiting = f", {self.waiting} waiting" if self.waiting else ""
        told = {
            "board": self.board,
            "state": ", ".join((self.state, *self.alerts)),
            "kind": self.kind,
            "model": self.model,
            "tokens/s": "" if self.rate is None else f"{self.rate:.1f}",
            "requests": "" if self.running is None else f"{self.running}{waiting}",
            "°C": "" if self.heat is None else f"{self.heat:.0f}",
            "release": self.release,
            "last deploy": "" if self.deployed is None else utc_text(self.deployed),
        }
        return {name: text or "-" for name, text in told.items()}

    def sort_keys(self) -> dict[str, float]:
        """What columns of numbers are sorted by; a column without a number there has none."""
        asked = None if self.running is None else self.running + (self.waiting or 0)
        found = {"tokens/s": self.rate, "requests": asked, "°C": self.heat, "last deploy": self.deployed}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class GatewayLine:
    """A gateway. `waiting`: requests in its queues; `rate`, `errors`: requests a second, and those that got a 5xx.

    `alerts`: the names of those that fire.
    """

    gateway: str
    up: bool
    waiting: int = 0
    rate: float = 0.0
    errors: float = 0.0
    alerts: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """It in a line."""
        state = ", ".join(("up" if self.up else "down", *self.alerts))
        return (
            f"{self.gateway}: {state}, {self.waiting} waiting, {self.rate:.1f} requests/s, {self.errors:.2f} errors/s"
        )


@dataclass
class FleetTable:
    """`problem`: why Prometheus told nothing; "" when it answered."""

    rows: list[FleetRow] = field(default_factory=list)
    problem: str = ""
    gateways: list[GatewayLine] = field(default_factory=list)


def utc_text(seconds: float) -> str:
    """A time to the minute, in UTC; "" for one that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return ""


def fleet_table(left: Mapping[str, Mapping[str, Any]], ask: Ask) -> FleetTable:
    """The table of the boards that the deploys know. `left`: what they left, by the boards' names."""
    try:
        values = {name: by_label(ask(query), "board") for name, query in QUERIES.items()}
        releases = {labels["board"]: labels for labels, _ in ask(RELEASES) if "board" in labels}
        alerts = alerts_by_label(ask(ALERTS), "board")
        gateways = gateway_lines(ask)
    except (OSError, ValueError, LookupError) as error:
        rows = [fleet_row(board, told, {}, {}) for board, told in left.items()]
        return FleetTable(rows, f"Prometheus told nothing: {error}")
    rows = [
        fleet_row(
            board,
            told,
            {name: found[board] for name, found in values.items() if board in found},
            releases.get(board, {}),
            alerts.get(board, ()),
        )
        for board, told in left.items()
    ]
    return FleetTable(rows, gateways=gateways)


def gateway_lines(ask: Ask) -> list[GatewayLine]:
    """The gateways that Prometheus asks. Raises OSError, ValueError, LookupError."""
    values = {name: by_label(ask(query), "gateway") for name, query in GATEWAY_QUERIES.items()}
    alerts = alerts_by_label(ask(GATEWAY_ALERTS), "gateway")
    return [
        GatewayLine(
            gateway,
            bool(up),
            int(values["waiting"].get(gateway, 0)),
            values["rate"].get(gateway, 0.0),
            values["errors"].get(gateway, 0.0),
            alerts.get(gateway, ()),
        )
        for gateway, up in sorted(values["up"].items())
    ]


def by_label(answers: list[tuple[Labels, float]], label: str) -> dict[str, float]:
    """The values by what they bear as that label."""
    return {labels[label]: value for labels, value in answers if label in labels}


def alerts_by_label(answers: list[tuple[Labels, float]], label: str) -> dict[str, tuple[str, ...]]:
    """The names of the alerts by what they bear as that label."""
    found: dict[str, set[str]] = {}
    for labels, _ in answers:
        found.setdefault(labels[label], set()).add(labels["alertname"])
    return {name: tuple(sorted(alerts)) for name, alerts in found.items()}


def fleet_row(
    board: str,
    left: Mapping[str, Any],
    values: Mapping[str, float],
    release: Labels,
    alerts: tuple[str, ...] = (),
) -> FleetRow:
    """A row. What a board tells of its release counts more than what the last deploy left: it may have gone back."""
    rate = values.get("rate", values.get("gate", number_or_none(left.get("tokens_per_second"))))
    return FleetRow(
        board,
        str(left.get("kind", "")),
        up=bool(values["up"]) if "up" in values else None,
        server=bool(values["server"]) if "server" in values else None,
        model=release.get("model") or str(left.get("model", "")),
        release=release.get("release") or str(left.get("release", "")),
        deployed=values.get("deployed", number_or_none(left.get("when"))),
        rate=rate,
        running=int(values["running"]) if "running" in values else None,
        waiting=int(values["waiting"]) if "waiting" in values else None,
        heat=values.get("heat"),
        alerts=alerts,
    )


def read_left(file: Path) -> dict[str, dict[str, Any]]:
    """What the deploys left: {"kitchen": {"kind": …, "model": …, "release": …, "tokens_per_second": …, "when": …}}.

    Nothing where the file is missing or damaged: the page says that it has no boards.
    """
    try:
        return left_in(file.read_text())
    except OSError:
        return {}


def left_in(text: str) -> dict[str, dict[str, Any]]:
    """What the text of that file says; nothing for a text that is none of it."""
    try:
        boards = parse_json(text)["boards"].items()
        return {board: told for board, told in boards if isinstance(told, dict)}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}
