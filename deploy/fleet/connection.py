"""Has pyinfra reach boards over our connection and end a run with a report: to import this module is enough."""

import logging

from pyinfra.api.host import Host
from pyinfra.api.state import State

from deploy.fleet import lanes, repeat_filter, report
from deploy.hosts.connector_plugin import announce_connector
from deploy.hosts.ssh.connection import BoardConnector


class ReportedBoard(BoardConnector):
    """A board of a run that ends with a report, also when no board can be reached and no deploy begins."""

    def __init__(self, state: State, host: Host) -> None:
        super().__init__(state, host)
        report.listen_to_run(state)
        lanes.use_lanes(state)


announce_connector("ssh", ReportedBoard)
repeat_filter.use_repeat_filter()
# What paramiko writes beside the errors that it raises are tracebacks; the errors themselves say it in a line.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
