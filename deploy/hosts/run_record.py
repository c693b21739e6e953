"""What a run learns of one host, for the table at the end of the run."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyinfra.api.host import Host

KEY = "boardllama_record"
FULL_DISK = "No space left on device"


@dataclass
class RunRecord:
    """`before` and `after`: ids of releases. `reason`: why the host is not good; empty as long as it is good.

    `verdict`: one or two words, where a stage has words of its own for the host. `expected`: why a stage would refuse
    the host, as far as this is known before anything runs. `prepared`: whether the run knows all that it is to do on
    the host. `unreachable`: why there was no connection. `seconds`: what the run spent on this host alone. `began`: the
    time.monotonic() since which the run works on the host; 0 while it does not. `model_choice`: how the model was
    chosen, where no setting names it.
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
    model_choice: str = ""

    def note_failure(self, reason: str, verdict: str = "failed") -> None:
        """Keeps the reason and the verdict of the first failure: the failures after it are its results."""
        if not self.reason:
            self.reason, self.verdict = reason, verdict

    def start_clock(self) -> None:
        """Begins to count seconds: the run turns to this host."""
        self.began = time.monotonic()

    def stop_clock(self) -> None:
        """Ends counting seconds: the run turns away from this host."""
        self.seconds += time.monotonic() - self.began if self.began else 0.0
        self.began = 0.0

    def note_found(self, release: str | None) -> None:
        """Keeps the release that the host had when the run came to it: only the first call counts."""
        self.before = self.before or release or "none"
        self.after = self.after or self.before

    def note_serving(self, release: str) -> None:
        """Keeps the release that the host was switched to. A host that was never asked had none before."""
        self.note_found(None)
        self.after = release


def record_of(host: Host) -> RunRecord:
    """The host's record of this run."""
    record: RunRecord = host.connector_data.setdefault(KEY, RunRecord())
    return record


@contextmanager
def working_for(host: Host) -> Iterator[None]:
    """Counts the seconds of the block for the host, unless the block is in an operation, which counts as a whole."""
    record = record_of(host)
    if record.began:
        yield
        return
    record.start_clock()
    try:
        yield
    finally:
        record.stop_clock()


def with_disk_advice(reason: str) -> str:
    """The reason of a failure. A full disk, of which tar speaks once for each file, becomes one line with advice."""
    if FULL_DISK in reason and "make room" not in reason:
        said = next(line for line in reason.splitlines() if FULL_DISK in line)
        return f"{said}: make room there (`df -h` shows where), then run again"
    return reason
