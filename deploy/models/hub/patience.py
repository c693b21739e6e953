"""How long a hub is waited for: as long as the hub asks for, and a few tries where it asks for nothing."""

import email.utils
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

import httpx2

from deploy.errors import BoardllamaError

TRIES = 5  # in a row without a new byte; any progress starts the count again
PAUSE = 1.0  # seconds before the second try, doubled for each further one: 15 s in all
LIMIT = 300.0  # seconds to wait in all without a new byte, because a hub asks for it: the public hub counts over 5 min
UNSAID = 30.0  # seconds to wait for a hub that is asked too often and does not say how long, doubled each time
TELL_EVERY = 20.0  # seconds between two lines while waiting
FAULTS = (408, 500, 502, 503, 504)  # statuses of a server that may be well again in a moment
BUSY = 429

sleep = time.sleep


def asked_wait(response: httpx2.Response) -> float | None:
    """Seconds that an answer asks to wait, by Retry-After (a number or a date) or RateLimit; None when it says none."""
    value = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d*)?", value):
        return float(value)
    if date := http_date(value):
        # By the server's own clock, when it tells it: ours may be wrong.
        now = http_date(response.headers.get("Date", "")) or datetime.now(timezone.utc)
        return max(0.0, (date - now).total_seconds())
    found = re.search(r";\s*t\s*=\s*(\d{1,9})", response.headers.get("RateLimit", ""))
    return float(found[1]) if found else None


def http_date(value: str) -> datetime | None:
    """The time of an HTTP header; None for a text that is no date."""
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)


@dataclass
class HubPatience:
    """How long, and how often, one download may still wait for its hub."""

    name: str  # for progress and errors
    say: Callable[[str], object]
    left: float = LIMIT  # seconds
    unsaid: float = UNSAID
    tries: int = 0

    def wait_as_asked(self, response: httpx2.Response) -> bool:
        """Waits when the answer means "later", and says so; False when it means something else.

        Raises BoardllamaError when the wait is longer than what is left.
        """
        seconds = asked_wait(response)
        if response.status_code != BUSY and not (response.status_code == 503 and seconds):
            return False
        if seconds is None:
            seconds, self.unsaid = self.unsaid, self.unsaid * 2
        seconds, host = max(1.0, seconds), response.url.host
        if seconds > self.left:
            raise BoardllamaError(
                f"{self.name}: {host} was asked too often ({response.status_code}) and wants {in_words(seconds)} of "
                f"rest: run again then, it goes on from there; with HF_TOKEN the public hub allows more"
            )
        self.left -= seconds
        self._rest_aloud(seconds, f"{self.name}: {host} was asked too often ({response.status_code})")
        return True

    def renew(self) -> None:
        """Starts both waiting times again, as every new byte earns."""
        self.left, self.unsaid = LIMIT, UNSAID

    def try_again(self, response: httpx2.Response) -> bool:
        """Waits for a server that is out of order, a moment at a time; False when it is not, or was for too long."""
        self.tries += 1
        if response.status_code not in FAULTS or self.tries >= TRIES:
            return False
        self.say(f"{self.name}: {response.url.host} answers {response.status_code}, trying again")
        pause_before_try(self.tries)
        return True

    def _rest_aloud(self, seconds: float, why: str) -> None:
        while seconds > 0:
            self.say(f"{why}, going on in {in_words(seconds)}")
            sleep(min(seconds, TELL_EVERY))
            seconds -= TELL_EVERY


def pause_before_try(tries: int) -> None:
    """Sleeps before the next try, twice as long after each try that failed: `tries` have."""
    sleep(PAUSE * 2 ** (tries - 1))


def in_words(seconds: float) -> str:
    """A time for messages: "90 s", and from two minutes on "5 min"."""
    return f"{math.ceil(seconds)} s" if seconds < 120 else f"{math.ceil(seconds / 60)} min"
