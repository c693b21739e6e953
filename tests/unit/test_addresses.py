"""By which addresses hosts of an inventory see each other."""

from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.connectors.local import LocalConnector
from pyinfra.connectors.ssh import SSHConnector

from deploy.errors import BoardllamaError
from deploy.fleet.gateway.offers import is_loopback_elsewhere
from deploy.hosts import addresses
from deploy.hosts.addresses import addresses_seen, own_addresses


def a_host(name: str, gateways: tuple[Any, ...] = ()) -> Any:
    """A host of an inventory with these gateways."""
    connector = LocalConnector if name == "@local" else SSHConnector
    state = SimpleNamespace(inventory=SimpleNamespace(groups={"gateways": gateways}))
    return SimpleNamespace(name=name, connector_cls=connector, data={}, state=state)


@pytest.mark.parametrize(
    ("other", "board", "seen"),
    [
        ("10.0.0.7", "10.0.0.9", "10.0.0.7"),
        ("@local", "10.0.0.9", "10.0.0.1"),
        ("@local", "@local", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_board_sees_another_host_by(monkeypatch: pytest.MonkeyPatch, other: str, board: str, seen: str) -> None:
    """127.0.0.1 would be the board itself to a board."""
    monkeypatch.setattr(addresses, "own_addresses", lambda destination: ("10.0.0.1",))
    assert addresses_seen(a_host(other), a_host(board)) == (seen,)


def test_a_host_that_no_board_sees_is_refused() -> None:
    """As Debian names the computer itself in /etc/hosts."""
    with pytest.raises(BoardllamaError, match=r"^127.0.1.1 is 127.0.1.1 here, which other hosts do not see: name"):
        addresses_seen(a_host("127.0.1.1"), a_host("10.0.0.9"))


def test_the_kernel_says_by_which_address_this_computer_would_go() -> None:
    assert own_addresses("127.0.0.1") == ("127.0.0.1",)
    with pytest.raises(BoardllamaError, match="this computer has no route to 255"):
        own_addresses("255.255.255.255")


@pytest.mark.parametrize(("gateway", "refused"), [("@local", False), ("10.0.0.7", True)])
def test_a_board_on_the_controller_is_no_board_of_a_gateway_elsewhere(gateway: str, refused: bool) -> None:
    board = a_host("@local", (a_host(gateway),))
    assert is_loopback_elsewhere(board, "127.0.0.1") is refused
    assert not is_loopback_elsewhere(board, "10.0.0.9")
    assert not is_loopback_elsewhere(board, "name.invalid")
