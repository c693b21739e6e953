"""Has pyinfra say of group data which names are set, and not to what: an API key of boards may be among them."""

import logging
from collections.abc import Mapping


def names_alone(record: logging.LogRecord) -> bool:
    """A filter of pyinfra's logger: of a table in a line it leaves the names. With --debug pyinfra writes each group's.

    Returns True: the line is shown.
    """
    if isinstance(record.args, tuple):
        record.args = tuple(list(value) if isinstance(value, Mapping) else value for value in record.args)
    return True
