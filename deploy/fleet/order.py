"""The order of a run over hosts of several roles.

pyinfra sorts the operations of all hosts in layers: the third of a gateway stands beside the third of a board. What a
gateway or a monitor is told of the boards, such as their keys, is there when the boards are done.
"""

from pyinfra import host, inventory
from pyinfra.api import operation

from deploy.hosts.remote import Commands

AFTER_BOARDS = ("gateways", "monitors")


def await_targets() -> None:
    """Has what follows in deploy.py wait for what stands before, on all hosts of the run.

    It is an operation of every host, called from one line: the same operation to pyinfra, and thus one that stands
    between the others. An inventory of boards alone gets none.
    """
    if any(group in inventory.groups for group in AFTER_BOARDS):
        meet_hosts(name="Wait for the boards")


@operation()
def meet_hosts() -> Commands:
    """Changes nothing."""
    host.noop("the boards are done")
    yield from ()
