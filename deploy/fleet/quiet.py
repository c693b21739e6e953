"""What many hosts say alike is said once: pyinfra writes a line for each host and operation, and one more after errors.

A filter of pyinfra's own logger. What it does not know it lets pass, and no error is ever held back.
"""

import logging
import re
import time
from collections.abc import Callable

import click
from pyinfra import logger

# How one host's part of an operation, or of the preparation, ends.
ENDS = re.compile(r"Connected|Ready: .*|No changes.*|Success.*")
# Of a host that an operation is not for.
SKIPPED = "Skipped"
# Comes after the line that says what was wrong.
COUNT = re.compile(r"Error( \(.*\))?: executed \d+ commands.*")
# Two lines of pyinfra's about a host that it meets for the first time.
MEETS, MET = re.compile(r"No host key for .* accepting & adding .*"), re.compile(r"Added host key for (?P<host>\S+) .*")
# Said of a host key that changed, without the host's name; the error of that host says the same with it.
UNNAMED = re.compile(
    r"WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!|Someone could be eavesdropping on you right now .*"
    r"|If this is expected, you can remove the bad key using:|\s+ssh-keygen -R \S+"
)
FROM_HOST = re.compile(r"\[(?P<host>[^\]]+)\]\s+(?P<text>.*)", re.DOTALL)
HEADING = "-->"
# Of many hosts that report progress so many do so at a time. A host that ends makes room for another, but only so many
# seconds after the last newcomer: of fifty boards that end beside each other few are heard.
SPEAKERS = 4
NEWCOMER_SECONDS = 5.0
NAMED = 3

# The last error that a run showed of a host, by the host's name.
LAST_WORDS: dict[str, str] = {}


class Quiet(logging.Filter):
    """Holds back what is repeated, and says at the next heading for how many hosts it held."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.clock = clock
        self.held: dict[str, list[str]] = {}
        self.first: dict[str, str] = {}
        self.speakers: set[str] = set()
        self.heard: set[str] = set()
        self.newcomer = 0.0  # by the clock, of the last host whose progress began to be shown

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is shown."""
        line = click.unstyle(str(record.getMessage()))
        if HEADING in line:
            self.say_held()
            return True
        if MEETS.fullmatch(line) or UNNAMED.fullmatch(line):
            return False
        if met := MET.fullmatch(line):
            return self.hold("Host key added to known_hosts", met["host"])
        found = FROM_HOST.fullmatch(line)
        return self.shows(found["host"], found["text"], record.levelno) if found else True

    def shows(self, host: str, text: str, level: int) -> bool:
        """Whether a line of a host is shown."""
        if COUNT.fullmatch(text) or text == SKIPPED:
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
        """Whether the host is among those whose progress is shown."""
        if host not in self.speakers and len(self.speakers) < SPEAKERS:
            now = self.clock()
            if len(self.heard) < SPEAKERS or now - self.newcomer > NEWCOMER_SECONDS:
                self.newcomer = now
                self.speakers.add(host)
                self.heard.add(host)
        return host in self.speakers

    def hold(self, text: str, host: str) -> bool:
        """Says it later, with the other hosts of whom it is true."""
        self.held.setdefault(text, []).append(host)
        return False

    def say_held(self) -> None:
        """A line for each thing that was held, with the hosts."""
        held, self.held = self.held, {}
        self.speakers.clear()
        self.heard.clear()
        self.first.clear()
        for text, hosts in held.items():
            named = ", ".join(hosts) if len(hosts) <= NAMED else f"{len(hosts)} hosts"
            # Not in the form of a host's line, which this filter would hold back.
            logger.info(f"{click.style(text, 'cyan')}: {named}")


def begin() -> None:
    """From now on; once is enough."""
    if not any(isinstance(one, Quiet) for one in logger.filters):
        logger.addFilter(Quiet())
