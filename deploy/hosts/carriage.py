"""How models travel to the targets of a run: by which way, and within which limits.

This room knows one way, this controller's SSH connections. Others are offered by the rooms above (`offer_way`).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Protocol

from pyinfra.api.host import Host

from deploy.errors import BoardllamaError
from deploy.hosts.ssh.connection import is_quiet
from deploy.settings import Settings

if TYPE_CHECKING:
    from deploy.hosts.remote import Remote
    from deploy.hosts.store import BigFile

TICK_SECONDS = 0.2
MEGABYTE = 1_000_000


class NotThisWay(BoardllamaError):
    """A target cannot get a file by a way. The message says why; the SSH connection brings it."""


class Way(Protocol):
    """A way by which a target gets a file without this controller's SSH connection."""

    @property
    def origin(self) -> str:
        """From whom it comes, in words."""

    def fetch_file(self, remote: "Remote", file: "BigFile") -> None:
        """Has the target fetch all of the file to file.part_path. Raises NotThisWay, and leaves nothing there then."""

    def end_fetching(self, remote: "Remote") -> None:
        """Ends on the target what the way left running there."""


@dataclass
class Pace:
    """At most so many bytes a second, 0 for any, for all who share it. `due`: when what was let through is through.

    `waiting`: how many wait for that.
    """

    rate: int
    due: float = 0.0
    waiting: int = 0

    def count(self, count: int) -> None:
        """Takes bytes into account, whoever sent them."""
        self.due = max(self.due, time.monotonic()) + count / self.rate

    def wait_for(self, count: int) -> None:
        """Waits until that many bytes more may have gone."""
        if self.rate:
            self.count(count)
            self.waiting += 1
            try:
                time.sleep(max(0.0, self.due - time.monotonic()))
            finally:
                self.waiting -= 1


@dataclass
class Turns:
    """So many hosts at a time, 0 for all. A host that gives no sign of life keeps its turn, and takes no other's."""

    most: int
    holders: list[Host] = field(default_factory=list)

    @contextmanager
    def turn_of(self, host: Host) -> Iterator[None]:
        """Waits for a turn, and keeps it for the block. Greenlets change hands only where one of them waits."""
        while self.most and sum(not is_quiet(holder) for holder in self.holders) >= self.most:
            time.sleep(TICK_SECONDS)
        self.holders.append(host)
        try:
            yield
        finally:
            self.holders.remove(host)


@dataclass(frozen=True)
class Carriage:
    """`way`: None for the SSH connection alone. `pace`: of what goes over the SSH connections."""

    way: Way | None
    pace: Pace
    turns: Turns


# Hosts with the same limit share it.
pace_of = cache(Pace)
turns_of = cache(Turns)
AS_EVER = Carriage(None, Pace(0), Turns(0))

WayMaker = Callable[[Settings], Way]
WAYS: dict[str, WayMaker] = {}


def offer_way(distribution: str, make: WayMaker) -> None:
    """Has hosts whose setting says so get their models by that way."""
    WAYS[distribution] = make


def way_of(settings: Settings) -> Way | None:
    """The way of a host's models; None for the SSH connection."""
    make = WAYS.get(settings.distribution)
    return make(settings) if make else None


def carriage_of(settings: Settings) -> Carriage:
    """How a host's models travel."""
    return Carriage(way_of(settings), pace_of(rate_limit(settings)), turns_of(settings.model_parallel))


def rate_limit(settings: Settings) -> int:
    """Bytes a second that models may take, 0 for all."""
    return round(settings.bandwidth * MEGABYTE)
