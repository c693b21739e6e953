"""How a board is looked at: each part for itself. What does not tell hides nothing else, and nobody waits for it."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Thread
from typing import TypeVar

from ..server.config import ConfigError

Place = TypeVar("Place")
Found = TypeVar("Found")
SILENT = (OSError, ValueError, LookupError, ConfigError)


def value_or_none(look: Callable[[], Found]) -> Found | None:
    """What `look` returns; None when it raises one of SILENT, as where this board does not tell."""
    with suppress(*SILENT):
        return look()
    return None


def values_from(look: Callable[[Place], Found], places: Iterable[Place]) -> list[Found]:
    """What `look` returns for each of the places, without those where it raises one of SILENT."""
    found = []
    for place in places:
        with suppress(*SILENT):
            found.append(look(place))
    return found


def in_time(look: Callable[[], Found], deadline: float) -> Found:
    """What `look` returns within `deadline` seconds: a file on a server or a disk that is gone may never be read.

    Raises TimeoutError, and of what `look` raises the kinds in SILENT.
    """
    found: list[Found] = []
    wrong: list[Exception] = []

    def try_it() -> None:
        try:
            found.append(look())
        except SILENT as error:
            wrong.append(error)

    looking = Thread(target=try_it, daemon=True)
    looking.start()
    looking.join(deadline)
    for error in wrong:
        raise error
    if not found:
        raise TimeoutError(f"no answer within {deadline:.0f} s")
    return found[0]
