"""`make fleet-report`: the table of the fleet in the terminal, from a monitor, or without one from the boards."""

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from pyinfra import host, state
from pyinfra.api import FactBase
from pyinfra.api.host import Host
from pyinfra.api.state import BaseStateCallback, State

from deploy.fleet import report
from deploy.fleet.monitor.monitor_places import PAGE
from deploy.fleet.monitor.watched_boards import TARGETS, kind_group
from deploy.hosts.run_record import record_of
from deploy.hosts.snapshot import PROGRAM
from deploy.onboard.json_parts import parse_json
from deploy.onboard.monitor.fleet import FleetRow
from deploy.onboard.places import PLACES
from deploy.onboard.release.release_table import aligned_lines
from deploy.onboard.service import OLLAMA

SEEN = "boardllama_fleet_rows"
MONITORS = "monitors"


class PageRows(FactBase[list[FleetRow]]):
    """The rows of a monitor's page; none where no page was made in the last five minutes."""

    @staticmethod
    def default() -> list[FleetRow]:
        return []

    def command(self) -> str:
        return f"find {PAGE}/fleet.json -mmin -5 -exec cat {{}} + 2>/dev/null; true"

    def process(self, output: list[str]) -> list[FleetRow]:
        told = parse_json("\n".join(output) or "[]")
        known = {field.name for field in fields(FleetRow)}
        rows = [{name: value for name, value in one.items() if name in known} for one in told]
        return [FleetRow(**{**one, "alerts": tuple(one.get("alerts", ()))}) for one in rows]


class BoardFigures(FactBase[dict[str, Any]]):
    """What a board says of itself: {"release": …, "model": …, "deployed": 1795000000, "heat": 61.2, "active": "active",
    "llamacpp:requests_processing": 0.0, …}. What is not known is left out.
    """

    @staticmethod
    def default() -> dict[str, Any]:
        return {}

    def command(self) -> str:
        # The key goes to curl as its standard input: no command line shows it.
        login = f"printf 'header = \"Authorization: Bearer %s\"\\n' \"$(grep -sv '^#' {OLLAMA.api_key} | head -n 1)\""
        return (
            f"test ! -x {PROGRAM} || echo releases $({PROGRAM} releases --json);"
            f" echo deployed $(stat -c %Y {PLACES.current} 2>/dev/null);"
            f" echo active $(systemctl is-active {OLLAMA.unit});"
            " cat /sys/class/thermal/thermal_zone*/temp 2>/dev/null | sed 's/^/heat /';"
            # Each server of the board: the first has the name without an ending.
            f" for started in {OLLAMA.runtime}*/{OLLAMA.started.name}; do"
            f" read -r address port path 2>/dev/null <$started && {{ {login} |"
            " curl -s -m 20 -K - http://$address:$port/metrics | grep ^llamacpp:; }; done; true"
        )

    def process(self, output: list[str]) -> dict[str, Any]:
        said: dict[str, list[str]] = {}
        for name, _, value in (line.partition(" ") for line in output):
            said.setdefault(name, []).append(value)
        found: dict[str, Any] = {name: sum(map(float, said[name])) for name in said if name.startswith("llamacpp:")}
        releases = parse_json(said.get("releases", ["[]"])[0])
        if releases:
            found |= {"release": releases[0]["id"], "model": releases[0]["model"]}
        if said.get("deployed", [""])[0]:
            found["deployed"] = float(said["deployed"][0])
        if heats := [int(value) / 1000 for value in said.get("heat", ()) if value.lstrip("-").isdecimal()]:
            found["heat"] = max(heats)
        return found | {"active": said.get("active", [""])[0]}


class FleetPrinter(BaseStateCallback):
    """Prints the table when the last host has been asked."""

    text_of = staticmethod(lambda rows: "\n".join(fleet_lines(rows)))

    @classmethod
    def host_disconnect(cls, state: State, host: Host) -> None:
        if all(record_of(one).ended for one in state.activated_hosts):
            print(cls.text_of(fleet_rows(state)), flush=True)


class JsonPrinter(FleetPrinter):
    """Prints the rows of that table as JSON."""

    text_of = staticmethod(lambda rows: json.dumps([asdict(row) | {"state": row.state} for row in rows], indent=1))


def show_fleet(as_json: bool = False) -> None:
    """`pyinfra INVENTORY deploy.fleet.fleet_report.show_fleet`: the table, on stdout; or its rows as JSON."""
    report.listen_to_run(state)
    printer = JsonPrinter if as_json else FleetPrinter
    if not any(isinstance(one, printer) for one in state.callback_handlers):
        state.add_callback_handler(printer())
    if MONITORS in host.groups:
        host.connector_data[SEEN] = host.get_fact(PageRows)
    elif TARGETS in host.groups and not state.inventory.groups.get(MONITORS):
        host.connector_data[SEEN] = [row_of_board(host.name, kind_group(host), host.get_fact(BoardFigures))]


def row_of_board(name: str, kind: str, told: dict[str, Any]) -> FleetRow:
    """The row of a board that was asked itself. Its tokens/s are of all answers since its server started."""
    seconds = told.get("llamacpp:tokens_predicted_seconds_total", 0.0)
    running, waiting = (told.get(f"llamacpp:requests_{one}") for one in ("processing", "deferred"))
    return FleetRow(
        name,
        kind,
        up=True,
        server=told["active"] == "active" and running is not None,
        model=told.get("model", ""),
        rate=told["llamacpp:tokens_predicted_total"] / seconds if seconds else None,
        running=None if running is None else int(running),
        waiting=None if waiting is None else int(waiting),
        heat=told.get("heat"),
        release=told.get("release", ""),
        deployed=told.get("deployed"),
    )


def fleet_rows(state: State) -> list[FleetRow]:
    """The rows that the hosts of the run have told, and one for each board without a connection."""
    hosts = report.of_the_run(state)
    # Of two monitors, the second tells of the same boards.
    told = {row.board: row for one in hosts for row in one.connector_data.get(SEEN, ())}
    lost = [one for one in hosts if TARGETS in one.groups and record_of(one).unreachable and one.name not in told]
    return [*told.values(), *(FleetRow(one.name, kind_group(one), up=False) for one in lost)]


def fleet_lines(rows: Sequence[FleetRow]) -> list[str]:
    """The table, and a line that counts."""
    if not rows:
        return ["no board is known: no monitor made its page in the last five minutes (boardllama-fleet-page.service)"]
    bad = sum(row.state != "up" or bool(row.alerts) for row in rows)
    count = f"{len(rows)} board{'s' if len(rows) != 1 else ''}"
    return [*aligned_lines([row.cells() for row in rows]), f"{count}, {f'{bad} to look at' if bad else 'all well'}"]
