"""A switch is made out of rotation, by whatever rotations a run has."""

from collections.abc import Iterator
from contextlib import contextmanager

from pyinfra import state
from pyinfra.context import ctx_state

from deploy.hosts.remote import Remote
from deploy.hosts.rotation import join_run, out_of_rotation
from deploy.hosts.snapshot import Snapshot
from tests.unit.known_host import KnownHost


class Noted:
    """A rotation that notes what it is asked."""

    def __init__(self) -> None:
        self.said = list[str]()

    @contextmanager
    def take_out(self, remote: Remote) -> Iterator[None]:
        self.said.append(f"out {remote.host.name}")
        yield
        self.said.append(f"back {remote.host.name}")


def test_a_rotation_that_joined_by_deploy_py_is_asked_once_for_each_switch() -> None:
    """deploy.py runs for each host, with pyinfra's stand-in for the state of the run."""
    board, first = KnownHost(Snapshot()), Noted()
    with ctx_state.use(board.state):
        join_run(state, first)
        join_run(state, Noted())
    with out_of_rotation(board.remote):
        assert first.said == ["out @local"]
    assert first.said == ["out @local", "back @local"]
    with out_of_rotation(KnownHost(Snapshot()).remote):
        assert len(first.said) == 2, "another run has no rotation"
