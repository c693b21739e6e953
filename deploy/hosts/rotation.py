"""Out of rotation: while a target is switched it gets no requests from elsewhere, and again when it is well.

Who gives it requests is none of a switch's business: a room that does registers a Rotation for the run, in deploy.py.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

from pyinfra.api.state import State

from deploy.hosts.remote import Remote

ROTATIONS = "boardllama_rotations"


class Rotation(Protocol):
    """Something that gives requests to targets."""

    def take_out(self, remote: Remote) -> AbstractContextManager[None]:
        """During the block the target gets no requests. Entering waits until the target has none, and until few enough
        others are out. Raises BoardllamaError when the target must stay as it is, or does not get requests again.
        """


def join_run(state: State, rotation: Rotation) -> None:
    """Has the switches of a run go by this rotation. A second one of the same kind changes nothing."""
    there: list[Rotation] = getattr(state, ROTATIONS, [])
    if not any(isinstance(one, type(rotation)) for one in there):
        setattr(state, ROTATIONS, [*there, rotation])


@contextmanager
def out_of_rotation(remote: Remote) -> Iterator[None]:
    """During the block the target gets no requests from any rotation of the run. Raises as `Rotation.take_out`."""
    with ExitStack() as stack:
        for rotation in getattr(remote.host.state, ROTATIONS, []):
            stack.enter_context(rotation.take_out(remote))
        yield
