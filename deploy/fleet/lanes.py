"""Nobody waits for a board that is silent.

pyinfra begins an operation when every host has ended the one before. Its pool of greenlets is the place where it waits:
in this one a host that gives no sign of life does its operations in a lane of its own, one after the other, until it
is back or given up. Before the last operation of a run ends, all are waited for.
"""

from __future__ import annotations  # gevent's classes take no parameters when they run

from collections.abc import Callable
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast

import gevent
from gevent import Greenlet
from gevent.pool import Pool
from pyinfra import logger
from pyinfra.api.host import Host
from pyinfra.api.state import State

from deploy.hosts.ssh.connection import BoardConnector

TICK_SECONDS = 0.5
P = ParamSpec("P")
T = TypeVar("T")
Work: TypeAlias = "Greenlet[Any, Any]"


class Lanes(Pool):
    """In the place of State.pool. Whatever is no operation of a host runs as in any pool."""

    def __init__(self, size: int | None) -> None:
        super().__init__(size)
        self.lanes: dict[Host, Work] = {}
        self.left: set[Host] = set()
        self.last = ""

    def spawn(self, func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Greenlet[P, T]:
        """pyinfra gives an operation's arguments as (state, host, op_hash), and gets whether it succeeded."""
        words: tuple[object, ...] = args
        if [type(word) for word in words] != [State, Host, str]:
            return super().spawn(func, *args, **kwargs)
        state, host, operation = cast(tuple[State, Host, str], words)
        self.last = self.last or state.get_op_order()[-1]
        self.lanes[host] = super().spawn(after, self.lanes.get(host), func, *args, **kwargs)
        return cast("Greenlet[P, T]", gevent.spawn(self.wait, host, operation == self.last))

    def wait(self, host: Host, is_last: bool) -> bool:
        """Whether the host's operation succeeded; True too, for now, when it is not to be waited for."""
        work = self.lanes[host]
        while not work.ready():
            if not is_last and is_quiet(host):
                self.leave(host, work)
                return True
            work.join(TICK_SECONDS)
        return bool(work.get())

    def leave(self, host: Host, work: Work) -> None:
        """The others go on without it, one of them in its place in the pool; said once."""
        self.discard(work)
        if host not in self.left:
            self.left.add(host)
            host.log("gives no sign of life: the others go on, and it may follow", logger.warning)


def after(before: Work | None, function: Callable[..., Any], *arguments: Any, **named: Any) -> bool:
    """The operation, when the one before it in its lane has ended well."""
    if before is not None and not before.get():
        return False
    return bool(function(*arguments, **named))


def is_quiet(host: Host) -> bool:
    """Whether the host gives no sign of life."""
    return isinstance(host.connector, BoardConnector) and host.connector.is_quiet


def begin(state: State) -> None:
    """From now on; once is enough."""
    if not isinstance(state.pool, Lanes):
        state.pool = Lanes(state.pool.size)
