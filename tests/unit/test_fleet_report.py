"""`make fleet-report`: what boards and monitors say, as a table."""

import json

from deploy.fleet.fleet_report import BoardFigures, PageRows, fleet_lines, row_of_board
from deploy.onboard.monitor.fleet import FleetRow

RELEASES = [{"id": "r1", "when": "2026-11-18", "build": "cortex-a76", "model": "q.gguf", "state": "current"}]
SAID = [
    f"releases {json.dumps(RELEASES)}",
    "deployed 1795000000",
    "active active",
    "heat 50000",
    "heat 61234",
    "heat unreadable",
    "llamacpp:tokens_predicted_total 80",
    "llamacpp:tokens_predicted_seconds_total 20",
    "llamacpp:requests_processing 2",
    "llamacpp:requests_deferred 3",
]


def test_a_board_that_serves_is_a_row_with_all_of_its_figures() -> None:
    row = row_of_board("kitchen", "rpi5", BoardFigures().process(SAID))
    assert row.cells() == {
        "board": "kitchen",
        "state": "up",
        "kind": "rpi5",
        "model": "q.gguf",
        "tokens/s": "4.0",
        "requests": "2, 3 waiting",
        "°C": "61",
        "release": "r1",
        "last deploy": "2026-11-18 11:06",
    }


def test_the_figures_of_several_models_are_added_up() -> None:
    row = row_of_board("kitchen", "", BoardFigures().process([*SAID, *SAID[6:]]))
    assert (row.rate, row.running, row.waiting) == (4.0, 4, 6)


def test_a_board_that_was_never_deployed_to_is_a_row_of_dashes() -> None:
    row = row_of_board("new", "", BoardFigures().process(["deployed ", "active inactive"]))
    assert set(row.cells().values()) == {"new", "server down", "-"}


def test_a_server_that_has_answered_nobody_has_no_speed() -> None:
    said = [line.replace(" 80", " 0").replace(" 20", " 0") for line in SAID]
    assert row_of_board("kitchen", "", BoardFigures().process(said)).rate is None


def test_a_monitor_s_rows_are_taken_also_from_a_newer_page_that_says_more() -> None:
    told = json.dumps([{"board": "kitchen", "up": True, "alerts": ["BoardHot"], "a later field": 1}])
    assert PageRows().process([told]) == [FleetRow("kitchen", up=True, alerts=("BoardHot",))]
    assert PageRows().process([]) == []


def test_the_last_line_counts_what_is_to_look_at() -> None:
    rows = [FleetRow("kitchen", up=True), FleetRow("hall", up=True, alerts=("BoardHot",)), FleetRow("attic", up=False)]
    lines = fleet_lines(rows)
    assert lines[0].split()[:2] == ["board", "state"] and lines[-1] == "3 boards, 2 to look at"
    assert fleet_lines(rows[:1])[-1] == "1 board, all well"


def test_without_a_page_or_a_board_the_table_is_a_sentence() -> None:
    assert fleet_lines([]) == [
        "no board is known: no monitor made its page in the last five minutes (boardllama-fleet-page.service)"
    ]
