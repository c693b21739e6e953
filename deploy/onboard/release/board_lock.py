"""The lock of the board, for its own programs: while one of them changes what is served, nobody else does."""

from collections.abc import Iterator
from contextlib import contextmanager

from .lease import LOCK, await_switch, take_lock


@contextmanager
def board_lock(who: str) -> Iterator[None]:
    """Holds the lock for the program `who`, once no switch is under way. Raises LookupError while another has it."""
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("a+") as lock:
        if (holder := take_lock(lock)) is not None:
            raise LookupError(f"{holder} is at work here: wait for it")
        lock.truncate(0)
        print(f"{who}, on the board", file=lock, flush=True)
        await_switch()
        yield
