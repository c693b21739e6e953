"""What gateways that share an address are told."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra import host
from pyinfra.context import ctx_host

from deploy.errors import BoardllamaError
from deploy.fleet.gateway.gateway_stage import gateway_texts
from deploy.fleet.gateway.shared_address import CONF, Route, RouteTo, keepalived_text, peers_of, share_address
from deploy.hosts.facts import Text, UnitState
from deploy.hosts.release import sha256_hex
from deploy.hosts.snapshot import Snapshot, memory_of
from deploy.onboard.gateway.gateway_places import SHARED_LOADED, SHARED_UNIT
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


@pytest.fixture(params=["itself", "as pyinfra's host"])
def seen(request: pytest.FixtureRequest) -> Iterator[Callable[[Any], Any]]:
    """How an operation sees a gateway: pyinfra's `host` stands for it, and is not the same object."""
    with ExitStack() as stack:

        def see(gateway: Any) -> Any:
            if request.param == "itself":
                return gateway
            stack.enter_context(ctx_host.use(gateway))
            return host

        yield see


def line_of(text: str, word: str) -> str:
    return next(line.strip() for line in text.splitlines() if line.strip().startswith(word))


def test_all_gateways_find_one_number_and_each_a_priority_of_its_own() -> None:
    one = keepalived_text("192.0.2.10", Route("eth0", "192.0.2.1"), ["192.0.2.2"])
    two = keepalived_text("192.0.2.10", Route("end0", "192.0.2.2"), ["192.0.2.1"])
    assert line_of(one, "virtual_router_id") == line_of(two, "virtual_router_id")
    assert (line_of(one, "priority"), line_of(two, "priority")) == ("priority 200", "priority 199")
    assert (line_of(one, "interface"), line_of(two, "interface")) == ("interface eth0", "interface end0")


def test_the_others_are_known_by_addresses_of_its_family(seen: Callable[[Any], Any]) -> None:
    first = seen(gateways("192.0.2.1", "192.0.2.2", "fd00::3"))
    assert peers_of(first, "192.0.2.10") == ["192.0.2.2"]
    assert peers_of(first, "fd00::10") == ["fd00::3"]


@pytest.mark.parametrize("names", [("192.0.2.1",), ("192.0.2.1", "fd00::3")])
def test_a_gateway_alone_shares_nothing(seen: Callable[[Any], Any], names: tuple[str, ...]) -> None:
    with pytest.raises(BoardllamaError, match=r"gateway_address is 192.0.2.10: it is for gateways that reach"):
        peers_of(seen(gateways(*names)), "192.0.2.10")


def test_the_kernel_names_the_way() -> None:
    told = ['[{"dst":"192.0.2.2","dev":"eth0","prefsrc":"192.0.2.1","flags":[],"uid":0,"cache":[]}]']
    assert RouteTo().process(told) == Route("eth0", "192.0.2.1")
    assert RouteTo().process([]) is None


CONTENT = b"vrrp_instance gateways {}"
LOADED = sha256_hex(CONTENT)


@pytest.mark.parametrize(
    ("wanted", "active", "loaded", "changes"),
    [
        (True, True, LOADED, False),
        (True, False, LOADED, True),
        (True, True, "1f", True),
        (True, True, "", True),
        (False, False, "", False),
        (False, True, LOADED, True),
    ],
)
def test_keepalived_runs_with_its_file_or_not_at_all(wanted: bool, active: bool, loaded: str, changes: bool) -> None:
    """Known from the first command of a run, which is the only one."""
    texts = {CONF: CONTENT} | ({SHARED_LOADED: f"{loaded}\n".encode()} if loaded else {})
    known = {path: Text(content, 0o644, "root:root") for path, content in texts.items()}
    gateway = KnownHost(Snapshot(texts=known, units={SHARED_UNIT: UnitState(installed=True, active=active)}))
    memory_of(gateway.host).asked.update(gateway_texts())
    assert bool(gateway.plans(share_address, wanted)) is changes
