"""Whether the servers of this board work for anybody: a sweep runs only while they do not."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..server.config import first_key, load_config, url_of
from ..server.health import ask_server
from ..service import Service

WORKING = ("llamacpp:requests_processing", "llamacpp:requests_deferred")
COUNTED = ("llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total")
DEADLINE = 5.0  # seconds; a server that computes a prompt answers later
QUIET_SECONDS = 5.0
ADVICE = "run again when it is quiet, or with STOP_SERVING=1, which stops the server meanwhile"
TELL_SECONDS = 60.0  # between two lines of a long pause


class Counters(NamedTuple):
    """Requests in a server now, and tokens that it has computed since its start."""

    working: float
    tokens: float


def read_counters(url: str, key: str | None) -> Counters:
    """The counters of /metrics, which a server that sleeps answers without waking up.

    A server that is not there works for nobody; one that gives no answer in time works for somebody.
    """
    status, text = ask_server(url, "/metrics", deadline=DEADLINE, key=key)
    if status == 0 and "ConnectionRefused" in str(text):
        return Counters(0, 0)
    if status != 200 or not isinstance(text, str):
        return Counters(1, 0)
    told = dict(line.split()[:2] for line in text.splitlines() if line and not line.startswith("#"))
    working, tokens = (sum(float(told.get(name, 0)) for name in names) for names in (WORKING, COUNTED))
    return Counters(working, tokens)


class Traffic:
    """The servers, and their counters when they were last looked at."""

    def __init__(self, services: Sequence[Service], sleep: Callable[[float], None] = time.sleep) -> None:
        self.places = [(url_of(load_config(one)["server"]), first_key(one.api_key)) for one in services]
        self.sleep = sleep
        self.last = self.read()

    def read(self) -> list[Counters]:
        return [read_counters(url, key) for url, key in self.places]

    def is_disturbed(self) -> bool:
        """Whether a server works for somebody, or has since the last look."""
        before, self.last = self.last, self.read()
        return any(one.working for one in self.last) or before != self.last

    def await_quiet(self, end: float, say: Callable[[str], None]) -> None:
        """Returns when no server has worked for QUIET_SECONDS. Raises TimeoutError after `end` (time.monotonic)."""
        quiet_since, told, tell_at = time.monotonic(), False, 0.0
        while self.is_disturbed() or time.monotonic() - quiet_since < (QUIET_SECONDS if told else 0):
            if time.monotonic() > end:
                raise TimeoutError(f"the board worked for its clients all the time: {ADVICE}")
            if any(one.working for one in self.last) or not told:
                quiet_since = time.monotonic()
            if time.monotonic() > tell_at:
                say("paused: the board works for its clients")
                told, tell_at = True, time.monotonic() + TELL_SECONDS
            self.sleep(1)
