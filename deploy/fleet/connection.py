"""Has pyinfra reach boards over our connection, bring models by the ways of sharing/, and end a run with a report.

To import this module is enough.
"""

import logging
import sys

from pyinfra import logger
from pyinfra.api.exceptions import DeployError
from pyinfra.api.host import Host
from pyinfra.api.state import State

from deploy.fleet import lanes, repeat_filter, report, sharing
from deploy.fleet.gateway.drain import drain_for_switches
from deploy.fleet.names_alone import names_alone
from deploy.fleet.report_row import ROLES
from deploy.hosts.connector_plugin import announce_connector
from deploy.hosts.ssh.connection import BoardConnector

SHOWN_NAMES = 10


class ReportedBoard(BoardConnector):
    """A board of a run that ends with a report, also when no board can be reached and no deploy begins."""

    def __init__(self, state: State, host: Host) -> None:
        super().__init__(state, host)
        require_hosts(state)
        if state.should_raise_failed_hosts and not sys.stdin.isatty():
            state.should_raise_failed_hosts = go_on_without
        report.listen_to_run(state)
        lanes.use_lanes(state)
        drain_for_switches(state)


def go_on_without(_state: State) -> bool:
    """Whether the run is to end because some hosts failed: no, the report names them. Without -y pyinfra asks a person.

    With -y there is no question, and --fail-percent decides.
    """
    return False


def require_hosts(state: State) -> None:
    """Raises DeployError where no host has anything to do: pyinfra would end with status 0.

    That is so when --limit and --exclude leave nobody, and when builders have nobody to build for.
    """
    if report.BUILDERS in state.inventory.groups and not any(state.inventory.groups.get(role) for role in ROLES):
        groups = ", ".join(sorted(set(state.inventory.groups) - set(state.inventory.hosts)))
        raise DeployError(f"the inventory has no host to serve: name a list of boards `targets` in it; it has {groups}")
    if report.of_the_run(state):
        return
    known = [host.name for host in state.inventory]
    more = f" and {len(known) - SHOWN_NAMES} more" if len(known) > SHOWN_NAMES else ""
    raise DeployError(
        "no host of the inventory is left: name hosts or groups of it with --limit (LIMIT=), and not all of them with "
        f"--exclude; its hosts are {', '.join(known[:SHOWN_NAMES])}{more}"
    )


announce_connector("ssh", ReportedBoard)
logger.addFilter(names_alone)
repeat_filter.use_repeat_filter()
sharing.offer_ways()
# What paramiko writes beside the errors that it raises are tracebacks; the errors themselves say it in a line.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
