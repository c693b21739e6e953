"""Ctrl-C ends a run of pyinfra, whatever it is at."""

import os
import signal
import sys
from types import FrameType

import gevent
from gevent import get_hub
from pyinfra import state
from pyinfra.context import ctx_state

from deploy.controller.interrupts import INTERRUPTED

# What a shell says of a command that SIGINT ended.
STATUS = 128 + signal.SIGINT
STDERR = 2


def heed_interrupts() -> None:
    """Takes SIGINT over from pyinfra. For a process that is a run of pyinfra, before it connects to anybody.

    pyinfra's handler raises SystemExit wherever the program is. All threads of a run are greenlets of one thread, such
    as those in which paramiko moves data, and a thread ends silently at SystemExit: the run went on without it. Where
    the main greenlet is reached, it waits for a place in the pool, to disconnect, until a host's operation is over.
    """
    signal.signal(signal.SIGINT, end_run)


def end_run(_number: int, _frame: FrameType | None) -> None:
    """Ends the operations of all hosts, and raises SystemExit in the main greenlet."""
    os.write(STDERR, f"{INTERRUPTED}\n".encode())  # print() fails where the signal came during a print()
    if ctx_state.isset() and state.initialised:
        state.pool.kill(block=False)
    hub = get_hub()
    main = hub.parent
    if main is None or gevent.getcurrent() is main:
        sys.exit(STATUS)
    hub.loop.run_callback_threadsafe(main.throw, SystemExit(STATUS))
