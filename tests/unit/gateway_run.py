"""A run's part in a gateway's rotation: the deploy's own conversation, over a shell in the place of a connection."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy.fleet.gateway import drain
from deploy.fleet.gateway.drain import Conversation, GatewayRotation
from deploy.hosts.remote import Remote
from deploy.onboard.gateway.board_table import told_json
from deploy.onboard.gateway.gateway_places import GatewayPlaces
from tests.unit.gateway_board import Board
from tests.unit.local_target import local
from tests.unit.running_gateway import RunningGateway, entry

ROTATE = """
from pathlib import Path
from deploy.onboard.gateway import rotate
rotate.TICK, rotate.SETTLING, rotate.RETURN_SECONDS, rotate.LEASE_SECONDS = 0.05, 0.3, {patience}, 3.0
rotate.run_rotation(rotate.GatewayPlaces(Path({config!r}), Path("/"), Path({runtime!r}), 0))
"""


def command(places: GatewayPlaces, patience: float = 20) -> str:
    """The conversation of a deploy with these places, in a hurry."""
    text = ROTATE.format(config=str(places.config), runtime=str(places.runtime), patience=patience)
    return f"exec {sys.executable} -c {shlex.quote(text)}"


class KnownBoard:
    """A board as a switch of a run sees it."""

    def __init__(self, name: str) -> None:
        self.said: list[str] = []
        self.host = SimpleNamespace(name=name)

    def say(self, line: str) -> None:
        self.said.append(line)


@contextmanager
def rotation_of(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch, boards: list[Board], patience: float = 20
) -> Iterator[GatewayRotation]:
    """A run's rotation, over a shell of this machine in the place of a connection."""
    host = SimpleNamespace(name="gateway", log=lambda *_: None)
    state: Any = SimpleNamespace(inventory=SimpleNamespace(groups={"gateways": [host]}))
    known = {board.name: board for board in boards}

    def words_after(remote: Remote, label: str) -> str:
        board = known[remote.host.name]
        return f"back {label} {told_json(entry(board), board.key)}"

    monkeypatch.setattr(drain, "words_after", words_after)
    talk = local(command(gateway.places, patience))
    rotation = GatewayRotation(state)
    rotation.talks["gateway"] = Conversation(talk)
    try:
        yield rotation
    finally:
        talk.end()


def out(rotation: GatewayRotation, name: str) -> Any:
    """The block in which a board is out."""
    return rotation.take_out(cast(Remote, KnownBoard(name)))
