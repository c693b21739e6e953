"""Which boards a gateway gives requests to, by haproxy's own counters."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from deploy.onboard.gateway.gateway_places import GatewayPlaces
from deploy.onboard.gateway.runtime_api import BOARD_SERVER, Counters, board_backend, server_rows
from tests.fleet.watch import Watch

LOOK_SECONDS = 0.1


def board_rows(places: GatewayPlaces) -> Iterator[tuple[str, Counters]]:
    """Each board's name and its counters; nothing while haproxy loads new files."""
    with suppress(OSError):
        for row in server_rows(places):
            if row["svname"] == BOARD_SERVER and row["pxname"].startswith(board_backend("")):
                yield row["pxname"].removeprefix(board_backend("")), row


def answers_by_board(places: GatewayPlaces) -> Counter[str]:
    """Good answers of each board so far."""
    return Counter({name: int(row["hrsp_2xx"] or 0) for name, row in board_rows(places)})


def requests_now(places: GatewayPlaces) -> Counter[str]:
    """Requests that each board works on."""
    return Counter({name: int(row["scur"]) for name, row in board_rows(places)})


@dataclass
class RotationWatch(Watch):
    """`out`: boards that get no requests now; `most`: the most of them at once.

    `strike` is called once, with the first board that is out and has finished its requests.
    """

    places: GatewayPlaces
    strike: Callable[[str], object] | None = None
    out: set[str] = field(default_factory=set)
    most: int = 0
    look_seconds = LOOK_SECONDS

    def look(self) -> None:
        held = {name: int(row["scur"]) for name, row in board_rows(self.places) if not is_in_rotation(row)}
        self.out = set(held)
        self.most = max(self.most, len(held))
        if self.strike and (free := [name for name, count in held.items() if not count]):
            self.strike(free[0])
            self.strike = None


def is_in_rotation(row: Counters) -> bool:
    return row["status"].startswith("UP")
