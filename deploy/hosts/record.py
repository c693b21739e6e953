"""What a run learns of one host on its way, for the table at its end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyinfra.api.host import Host

KEY = "boardllama_record"
FULL_DISK = "No space left on device"


@dataclass
class Record:
    """`before` and `after`: ids of releases; `reason`: why the host is not good, empty as long as it is.

    `verdict`: one or two words, where a stage has its own for what became of the host. `expected`: why a stage would
    refuse it, as far as that is known before anything runs. `prepared`: all that the run is to do there is known.
    `unreachable`: why there was no connection. `seconds`: what the run spent on it alone; `began`: since when it does
    (time.monotonic), 0 while it does not.
    """

    cpu: str = ""
    build: str = ""
    model: str = ""
    tokens_per_second: float | None = None
    before: str = ""
    after: str = ""
    verdict: str = ""
    reason: str = ""
    expected: str = ""
    prepared: bool = False
    unreachable: str = ""
    seconds: float = 0.0
    began: float = 0.0
    ended: bool = False

    def fail(self, reason: str, verdict: str = "failed") -> None:
        """The first reason counts: what fails after it, fails because of it."""
        if not self.reason:
            self.reason, self.verdict = reason, verdict

    def begin(self) -> None:
        """The run turns to this host."""
        self.began = time.monotonic()

    def pause(self) -> None:
        """The run turns away from it."""
        self.seconds += time.monotonic() - self.began if self.began else 0.0
        self.began = 0.0

    def found(self, release: str | None) -> None:
        """The release that the host has as the run comes to it; what comes later is no news."""
        self.before = self.before or release or "none"
        self.after = self.after or self.before

    def serves(self, release: str) -> None:
        """The release that it was switched to; none was found where none was asked for."""
        self.found(None)
        self.after = release


def record_of(host: Host) -> Record:
    """The host's record of this run."""
    record: Record = host.connector_data.setdefault(KEY, Record())
    return record


@contextmanager
def working_for(host: Host) -> Iterator[None]:
    """Counts the seconds of the block, unless they are those of an operation, which are counted as a whole."""
    record = record_of(host)
    if record.began:
        yield
        return
    record.begin()
    try:
        yield
    finally:
        record.pause()


def advised(reason: str) -> str:
    """The reason, in one line with what to do where the system alone speaks, as tar does for each file."""
    if FULL_DISK in reason and "make room" not in reason:
        said = next(line for line in reason.splitlines() if FULL_DISK in line)
        return f"{said}: make room there (`df -h` shows where), then run again"
    return reason
