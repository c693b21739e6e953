"""What gateways that share an address are told."""

from types import SimpleNamespace
from typing import Any

import pytest

from deploy.errors import BoardllamaError
from deploy.fleet.gateway.shared_address import (
    CONF,
    KeepalivedState,
    Route,
    RouteTo,
    keepalived_text,
    peers_of,
    share_address,
)
from deploy.hosts.snapshot import Snapshot
from tests.unit.known_host import KnownHost


def gateways(*names: str) -> Any:
    """The first of an inventory's gateways."""
    inventory = SimpleNamespace(groups={})
    made = [
        SimpleNamespace(name=name, connector_cls=object, data={}, state=SimpleNamespace(inventory=inventory))
        for name in names
    ]
    inventory.groups["gateways"] = made
    return made[0]


def line_of(text: str, word: str) -> str:
    return next(line.strip() for line in text.splitlines() if line.strip().startswith(word))


def test_all_gateways_find_one_number_and_each_a_priority_of_its_own() -> None:
    one = keepalived_text("192.0.2.10", Route("eth0", "192.0.2.1"), ["192.0.2.2"])
    two = keepalived_text("192.0.2.10", Route("end0", "192.0.2.2"), ["192.0.2.1"])
    assert line_of(one, "virtual_router_id") == line_of(two, "virtual_router_id")
    assert (line_of(one, "priority"), line_of(two, "priority")) == ("priority 200", "priority 199")
    assert (line_of(one, "interface"), line_of(two, "interface")) == ("interface eth0", "interface end0")


def test_the_others_are_known_by_addresses_of_its_family() -> None:
    assert peers_of(gateways("192.0.2.1", "192.0.2.2", "fd00::3"), "192.0.2.10") == ["192.0.2.2"]
    assert peers_of(gateways("192.0.2.1", "192.0.2.2", "fd00::3"), "fd00::10") == ["fd00::3"]


@pytest.mark.parametrize("names", [("192.0.2.1",), ("192.0.2.1", "fd00::3")])
def test_a_gateway_alone_shares_nothing(names: tuple[str, ...]) -> None:
    with pytest.raises(BoardllamaError, match=r"gateway_address is 192.0.2.10: it is for gateways that reach"):
        peers_of(gateways(*names), "192.0.2.10")


def test_the_kernel_names_the_way() -> None:
    told = ['[{"dst":"192.0.2.2","dev":"eth0","prefsrc":"192.0.2.1","flags":[],"uid":0,"cache":[]}]']
    assert RouteTo().process(told) == Route("eth0", "192.0.2.1")
    assert RouteTo().process([]) is None


@pytest.mark.parametrize(
    ("wanted", "state", "changes"),
    [
        (True, ["active", "1f", "1f"], False),
        (True, ["inactive", "1f", "1f"], True),
        (True, ["active", "2a", "1f"], True),
        (False, ["inactive", "1f", "-"], False),
        (False, ["active", "1f", "1f"], True),
    ],
)
def test_keepalived_runs_with_its_file_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, wanted: bool, state: list[str], changes: bool
) -> None:
    gateway = KnownHost(Snapshot())
    monkeypatch.setattr(gateway.host, "get_fact", lambda fact: state)
    assert bool(gateway.plans(share_address, wanted)) is changes


def test_keepalived_is_asked_of_its_unit_and_its_file() -> None:
    assert CONF in KeepalivedState().command()
