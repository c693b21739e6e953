"""Says once what many hosts say alike: pyinfra writes a line for each host and operation, and another after errors.

It is a filter of pyinfra's own logger. Lines that the filter does not know pass, and no error is ever held back.
"""

import logging
import re
import time
from collections.abc import Callable

import click
from pyinfra import logger

# How one host's part of an operation, or of the preparation, ends.
ENDS = re.compile(r"Connected|Ready: .*|No changes.*|Success.*")
# What pyinfra says of a host that an operation is not for.
SKIPPED = "Skipped"
# Follows the line that says what was wrong.
COUNT = re.compile(r"Error( \(.*\))?: executed \d+ commands.*")
# Two lines of pyinfra's about a host that it meets for the first time.
MEETS, MET = re.compile(r"No host key for .* accepting & adding .*"), re.compile(r"Added host key for (?P<host>\S+) .*")
# Said of a host key that changed, without the host's name; the error of that host says the same with its name.
UNNAMED = re.compile(
    r"WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!|Someone could be eavesdropping on you right now .*"
    r"|If this is expected, you can remove the bad key using:|\s+ssh-keygen -R \S+"
)
FROM_HOST = re.compile(r"\[(?P<host>[^\]]+)\]\s+(?P<text>.*)", re.DOTALL)
HEADING = "-->"
# The progress of so many hosts is shown at a time. A host that ends makes room for another, but not sooner than so many
# seconds after the last newcomer: of fifty boards that end together, few are shown.
SPEAKERS = 4
NEWCOMER_SECONDS = 5.0
NAMED = 3

# The last error that a run showed of a host, by the host's name.
LAST_WORDS: dict[str, str] = {}


class RepeatFilter(logging.Filter):
    """Holds back repeated lines. At the next heading each is said once, with the hosts that it came from."""

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
            return self.hold_line("Host key added to known_hosts", met["host"])
        found = FROM_HOST.fullmatch(line)
        return self.shows_line(found["host"], found["text"], record.levelno) if found else True

    def shows_line(self, host: str, text: str, level: int) -> bool:
        """Whether a line of a host is shown."""
        if COUNT.fullmatch(text) or text == SKIPPED:
            return False
        if level >= logging.ERROR:
            LAST_WORDS[host] = text
            return True
        if ENDS.fullmatch(text):
            self.speakers.discard(host)
            return self.hold_line(text, host)
        if self.first.setdefault(text, host) != host:
            return self.hold_line(f"The same of others: {text}", host)
        return level != logging.INFO or self.can_speak(host)

    def can_speak(self, host: str) -> bool:
        """Whether the host is among those whose progress is shown."""
        if host not in self.speakers and len(self.speakers) < SPEAKERS:
            now = self.clock()
            if len(self.heard) < SPEAKERS or now - self.newcomer > NEWCOMER_SECONDS:
                self.newcomer = now
                self.speakers.add(host)
                self.heard.add(host)
        return host in self.speakers

    def hold_line(self, text: str, host: str) -> bool:
        """Keeps the line for the next heading, with the other hosts that said it. Returns False: it is not shown."""
        self.held.setdefault(text, []).append(host)
        return False

    def say_held(self) -> None:
        """Says each line that was held, with the hosts that it came from."""
        held, self.held = self.held, {}
        self.speakers.clear()
        self.heard.clear()
        self.first.clear()
        for text, hosts in held.items():
            named = ", ".join(hosts) if len(hosts) <= NAMED else f"{len(hosts)} hosts"
            # Not in the form of a host's line, which this filter would hold back.
            logger.info(f"{click.style(text, 'cyan')}: {named}")


def use_repeat_filter() -> None:
    """Adds the filter to pyinfra's logger. A second call changes nothing."""
    if not any(isinstance(one, RepeatFilter) for one in logger.filters):
        logger.addFilter(RepeatFilter())
