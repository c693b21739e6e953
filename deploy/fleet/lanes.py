"""Nobody waits for a board that is silent.

pyinfra begins an operation when every host has ended the operation before, and waits for them in its pool of greenlets.
In the pool of this module, a host that gives no sign of life does its operations in a lane of its own, in order, until
the host is back or given up. Before the last operation of a run ends, all hosts are waited for.
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

from deploy.hosts.ssh.connection import is_quiet

TICK_SECONDS = 0.5
P = ParamSpec("P")
T = TypeVar("T")
Work: TypeAlias = "Greenlet[Any, Any]"


class Lanes(Pool):
    """A pool in the place of State.pool. Whatever is not the operation of a host runs as in any pool."""

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
        self.lanes[host] = super().spawn(run_after, self.lanes.get(host), func, *args, **kwargs)
        return cast("Greenlet[P, T]", gevent.spawn(self.wait_for, host, operation == self.last))

    def wait_for(self, host: Host, is_last: bool) -> bool:
        """Waits for the host's operation. Returns whether it succeeded; True for a host that was left behind."""
        work = self.lanes[host]
        while not work.ready():
            if not is_last and is_quiet(host):
                self.leave_behind(host, work)
                return True
            work.join(TICK_SECONDS)
        return bool(work.get())

    def leave_behind(self, host: Host, work: Work) -> None:
        """Lets the others go on without the host, and its place in the pool go to another. Says so once."""
        self.discard(work)
        if host not in self.left:
            self.left.add(host)
            host.log("gives no sign of life: the others go on, and it may follow", logger.warning)


def run_after(before: Work | None, function: Callable[..., Any], *arguments: Any, **named: Any) -> bool:
    """Waits for `before`, the work before it in its lane, then runs the function; not after a failure."""
    if before is not None and not before.get():
        return False
    return bool(function(*arguments, **named))


def use_lanes(state: State) -> None:
    """Makes Lanes the pool of the run. A second call changes nothing."""
    if not isinstance(state.pool, Lanes):
        state.pool = Lanes(state.pool.size)
