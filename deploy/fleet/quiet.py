"""What many hosts say alike is said once: pyinfra writes a line for each host and operation, and one more after errors.

A filter of pyinfra's own logger. What it does not know it lets pass, and no error is ever held back.
"""

import logging
import re

import click
from pyinfra import logger

# How one host's part of an operation, or of the preparation, ends.
ENDS = re.compile(r"Connected|Ready: .*|Skipped|No changes.*|Success.*")
# Comes after the line that says what was wrong.
COUNT = re.compile(r"Error( \(.*\))?: executed \d+ commands.*")
FROM_HOST = re.compile(r"\[(?P<host>[^\]]+)\]\s+(?P<text>.*)", re.DOTALL)
HEADING = "-->"
# Of many hosts that report progress so many do so at a time: who ends makes room for another one.
SPEAKERS = 4
NAMED = 3

# The last error that a run showed of a host, by the host's name.
LAST_WORDS: dict[str, str] = {}


class Quiet(logging.Filter):
    """Holds back what is repeated, and says at the next heading for how many hosts it held."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: dict[str, list[str]] = {}
        self.speakers: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is shown."""
        line = click.unstyle(str(record.msg))
        if HEADING in line:
            self.say_ends()
            return True
        found = FROM_HOST.fullmatch(line)
        return self.shows(found["host"], found["text"], record.levelno) if found else True

    def shows(self, host: str, text: str, level: int) -> bool:
        """Whether a line of a host is shown."""
        if COUNT.fullmatch(text):
            return False
        if level >= logging.ERROR:
            LAST_WORDS[host] = text
        if level != logging.INFO:
            return True
        if ENDS.fullmatch(text):
            self.speakers.discard(host)
            self.ends.setdefault(text, []).append(host)
            return False
        if len(self.speakers) < SPEAKERS:
            self.speakers.add(host)
        return host in self.speakers

    def say_ends(self) -> None:
        """A line for each way in which hosts ended."""
        ends, self.ends = self.ends, {}
        self.speakers.clear()
        for text, hosts in ends.items():
            named = ", ".join(hosts) if len(hosts) <= NAMED else f"{len(hosts)} hosts"
            # Not in the form of a host's line, which this filter would hold back.
            logger.info(f"{click.style(text, 'cyan')}: {named}")


def begin() -> None:
    """From now on; once is enough."""
    if not any(isinstance(one, Quiet) for one in logger.filters):
        logger.addFilter(Quiet())
