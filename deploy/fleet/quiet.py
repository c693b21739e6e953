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
# Two lines of pyinfra's about a host that it meets for the first time.
MEETS, MET = re.compile(r"No host key for .* accepting & adding .*"), re.compile(r"Added host key for (?P<host>\S+) .*")
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
        self.held: dict[str, list[str]] = {}
        self.first: dict[str, str] = {}
        self.speakers: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is shown."""
        line = click.unstyle(str(record.getMessage()))
        if HEADING in line:
            self.say_held()
            return True
        if MEETS.fullmatch(line):
            return False
        if met := MET.fullmatch(line):
            return self.hold("Host key added to known_hosts", met["host"])
        found = FROM_HOST.fullmatch(line)
        return self.shows(found["host"], found["text"], record.levelno) if found else True

    def shows(self, host: str, text: str, level: int) -> bool:
        """Whether a line of a host is shown."""
        if COUNT.fullmatch(text):
            return False
        if level >= logging.ERROR:
            LAST_WORDS[host] = text
            return True
        if ENDS.fullmatch(text):
            self.speakers.discard(host)
            return self.hold(text, host)
        if self.first.setdefault(text, host) != host:
            return self.hold(f"The same of others: {text}", host)
        return level != logging.INFO or self.speaks(host)

    def speaks(self, host: str) -> bool:
        """Whether the host is one of those whose progress is shown."""
        if len(self.speakers) < SPEAKERS:
            self.speakers.add(host)
        return host in self.speakers

    def hold(self, text: str, host: str) -> bool:
        """Says it later, with the other hosts of whom it is true."""
        self.held.setdefault(text, []).append(host)
        return False

    def say_held(self) -> None:
        """A line for each thing that was held, with the hosts."""
        held, self.held = self.held, {}
        self.speakers.clear()
        self.first.clear()
        for text, hosts in held.items():
            named = ", ".join(hosts) if len(hosts) <= NAMED else f"{len(hosts)} hosts"
            # Not in the form of a host's line, which this filter would hold back.
            logger.info(f"{click.style(text, 'cyan')}: {named}")


def begin() -> None:
    """From now on; once is enough."""
    if not any(isinstance(one, Quiet) for one in logger.filters):
        logger.addFilter(Quiet())
