"""Units that a deploy keeps running beside the server: the timer of a channel, the exporter of a monitored board."""

from dataclasses import replace
from typing import Any

import pytest
from pyinfra.api.host import Host

from deploy.fleet.channel import subscribe
from deploy.fleet.channel.subscribe import begin_looking
from deploy.hosts.facts import UnitState
from deploy.hosts.snapshot import UNITS
from deploy.onboard.gateway.gateway_places import SHARED_UNIT
from deploy.onboard.places import EXPORTER_UNIT, PLACES
from deploy.stages import exporter
from deploy.stages.exporter import configure_exporter, run_exporter
from tests.unit.known_host import BOARD, KnownHost, serving
from tests.unit.test_settings import told

TIMER = PLACES.channel_timer.name
WELL = UnitState(installed=True, active=True)


@pytest.fixture(autouse=True)
def nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a run knows from its first command must not cost another."""

    def asked(_host: Host, fact: type, **_: object) -> None:
        raise AssertionError(f"{fact.__name__} is a command of its own")

    monkeypatch.setattr(Host, "get_fact", asked)


def plans(operation: Any, **units: UnitState) -> int:
    """How many steps an operation has on a board with these units, whose timer is enabled."""
    links: dict[str, str | None] = {str(PLACES.channel_enabled): str(PLACES.channel_timer)}
    named = {{"timer": TIMER, "exporter": EXPORTER_UNIT}[name]: state for name, state in units.items()}
    return len(KnownHost(replace(serving("r1"), links=links, units=named)).plans(operation))


def test_a_timer_that_runs_by_its_file_costs_no_command() -> None:
    assert plans(begin_looking, timer=WELL) == 0
    assert plans(begin_looking, timer=replace(WELL, stale=True)) == 1


@pytest.mark.parametrize(
    ("state", "steps"),
    [
        (WELL, 0),
        (replace(WELL, stale=True), 1),
        (replace(WELL, active=False), 1),
        (UnitState(), 2),
    ],
)
def test_an_exporter_that_runs_costs_no_command(state: UnitState, steps: int) -> None:
    assert plans(run_exporter, exporter=state) == steps


def test_all_of_them_are_asked_about_in_the_first_command() -> None:
    assert set(UNITS.values()) == {subscribe.TIMER.name, exporter.UNIT, SHARED_UNIT}


class Stage:
    """What a board is to have written and run. `said`: what its run says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, filters: bool, monitors: dict[str, str]) -> None:
        self.texts: list[str] = []
        self.ran, self.said = False, list[str]()
        monkeypatch.setattr(exporter, "text_files", lambda files, **_: self.texts.extend(one.content for one in files))
        monkeypatch.setattr(exporter, "run_exporter", lambda **_: setattr(self, "ran", True))
        monkeypatch.setattr(Host, "log", lambda _, line, *rest: self.said.append(line))
        board = replace(BOARD, filters_addresses=filters)
        known = KnownHost(replace(serving("r1"), board=board), others=tuple(monitors.values()))
        hosts = [known.state.inventory.get_host(name) for name in monitors.values()]
        known.state.inventory.groups["monitors"] = hosts
        with known.turn():
            configure_exporter(told(node_exporter=True))


def test_an_exporter_that_everyone_could_read_does_not_run_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, filters=False, monitors={"watch": "@fake/192.168.7.2"})
    assert (stage.texts, stage.ran) == ([], False)
    assert "CONFIG_CGROUP_BPF" in stage.said[0] and "node_exporter False" in stage.said[0]


@pytest.mark.parametrize("filters", [True, False])
def test_without_a_monitor_elsewhere_an_exporter_listens_on_the_loopback(
    monkeypatch: pytest.MonkeyPatch, filters: bool
) -> None:
    stage = Stage(monkeypatch, filters, {})
    assert stage.ran and "--web.listen-address=127.0.0.1:9100 " in stage.texts[0]


def test_for_a_monitor_elsewhere_it_listens_and_the_kernel_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(monkeypatch, filters=True, monitors={"watch": "@fake/192.168.7.2"})
    assert stage.ran and "--web.listen-address=:9100 " in stage.texts[0]
    assert "IPAddressAllow=localhost 192.168.7.2\n" in stage.texts[0]
