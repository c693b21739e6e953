"""Is the server healthy, and if not, why? One judgement for the gate, the deploy and the suite that judges boards."""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from ..commands import end_of
from ..json_parts import parse_json
from ..service import Service
from .config import first_key
from .crowd import describe_crowd

POLL_SECONDS = 0.5
PROPERTIES = "ActiveState,SubState,Result,ExecMainStatus"
SYSTEM_DEADLINE = 60.0  # seconds for systemctl and journalctl


class Unhealthy(Exception):
    """The server is not healthy and waiting longer will not help, or the deadline has passed."""


class State(Enum):
    """What the server is doing."""

    READY = "ready"
    LOADING = "loading the model"
    STARTING = "starting"
    WRONG = "answering, but not as it should"
    CROWDED = "behind a crowd of clients"
    WAITING = "waiting for a disk"
    EXITED = "not running"


@dataclass(frozen=True)
class Health:
    """The server as it was seen once. `detail` is the reason when the state is not READY."""

    state: State
    detail: str = ""

    def to_json(self) -> str:
        """A line of JSON that `from_json` reads."""
        return json.dumps({**asdict(self), "state": self.state.name})

    @staticmethod
    def from_json(line: str) -> "Health":
        """What `to_json` wrote. Raises ValueError."""
        value = parse_json(line)
        return Health(State[value["state"]], value["detail"])


def look_at_server(service: Service, url: str) -> Health:
    """The health of a service, by systemd and by what answers at `url`."""
    return look_at_unit(service, unit_facts(service), url)


def look_at_unit(service: Service, facts: dict[str, str], url: str) -> Health:
    """As `look_at_server`, where systemd has been asked already: `facts` is what it said of the unit."""
    if facts.get("ActiveState") not in ("active", "activating"):
        return Health(State.EXITED, why_gone(service, facts))
    if reason := awaited_disk(service):
        return Health(State.WAITING, reason)
    if facts.get("ActiveState") == "active":
        return excuse_crowd(ask_health(service, url), urlsplit(url).port or 0)
    if facts.get("SubState", "").startswith("auto-restart"):
        return Health(State.EXITED, why_gone(service, facts))
    status, _ = ask_server(url, service.health_path)
    return Health(State.LOADING if status == 503 else State.STARTING, "systemd has not seen it ready yet")


def ask_health(service: Service, url: str) -> Health:
    """The health by what the service answers. A broker answers by itself, whatever the servers do behind it."""
    key = first_key(service.api_key)
    status, body = ask_server(url, service.health_path, key=key)
    if service.has_model:
        return judge_answer(status, body, lambda: ask_server(url, "/props", key=key))
    if status == 0:
        return Health(State.STARTING, f"nothing answers: {body}")
    wrong = f"{service.health_path} answers {status} {str(body)[:200]}"
    return Health(State.READY) if status == 200 else Health(State.WRONG, wrong)


def awaited_disk(service: Service) -> str:
    """The launcher's words about the disk that it waits for; "" when it waits for none, or they cannot be read."""
    try:
        return service.awaited.read_text()
    except OSError:
        return ""


def excuse_crowd(health: Health, port: int) -> Health:
    """The health, or CROWDED when it is STARTING only because a crowd keeps others from the server."""
    there = describe_crowd(port) if health.state is State.STARTING else ""
    return Health(State.CROWDED, there) if there else health


def unit_facts(service: Service, properties: str = PROPERTIES, deadline: float = SYSTEM_DEADLINE) -> dict[str, str]:
    """What systemd says of the unit, by property; empty when systemd does not answer within `deadline` seconds."""
    shown = said_by("systemctl", "show", "--property", properties, service.unit, deadline=deadline)
    return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)


def why_gone(service: Service, facts: dict[str, str]) -> str:
    """Why the server's process is not there, with its last words."""
    return f"{why_down(service, facts)}; its last lines: {' / '.join(last_words(service, 4)) or 'none'}"


def why_down(service: Service, facts: dict[str, str]) -> str:
    """systemd's words for a unit that does not run."""
    status = f"{facts.get('ActiveState', 'unknown')} ({facts.get('SubState', '')}), {facts.get('Result', '')}"
    return f"{service.unit} is {status}, status {facts.get('ExecMainStatus', '?')}"


def last_words(service: Service, count: int) -> list[str]:
    """The last `count` lines of the unit in the journal."""
    said = said_by("journalctl", "--unit", service.unit, "--lines", str(count), "--output", "cat", "--no-pager")
    return [line.strip() for line in said.splitlines() if line.strip()]


def said_by(*words: str, deadline: float = SYSTEM_DEADLINE) -> str:
    """Standard output, whatever the exit status; "" of a program that does not end, as on a card that is dying."""
    done = end_of(*words, deadline=deadline)
    return done.stdout if done else ""


def ask_server(
    url: str, path: str, body: dict[str, Any] | None = None, deadline: float = 10, key: str | None = None
) -> tuple[int, Any]:
    """HTTP status and parsed body of a GET, or of a POST of `body`; status 0 and the reason when nothing answers.

    The deadline in seconds holds for each wait, and for all waits together: an answer may trickle for ever.
    """
    end = time.monotonic() + deadline
    place = urlsplit(url)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=deadline)
    try:
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        text = b"".join(answer_pieces(answer, end)).decode(errors="replace")
    except (OSError, ValueError, http.client.HTTPException) as error:  # ValueError: a key that HTTP cannot carry
        return 0, f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    try:
        return answer.status, parse_json(text or "null")
    except ValueError:
        return answer.status, text


def answer_pieces(answer: http.client.HTTPResponse, end: float) -> Iterator[bytes]:
    """The body in pieces, as it arrives. Raises TimeoutError when it goes on after `end` (time.monotonic)."""
    while piece := answer.read1(1 << 16):
        yield piece
        if time.monotonic() > end:
            raise TimeoutError("the answer does not end")


def judge_answer(status: int, body: Any, props: Callable[[], tuple[int, Any]]) -> Health:
    """The health by an answer of /health. `props` asks for /props, when that answer was good."""
    if status == 200 and body == {"status": "ok"}:
        return judge_props(*props())
    if status == 503:
        return Health(State.LOADING, "/health answers 503")
    if status == 0:
        return Health(State.STARTING, f"nothing answers: {body}")
    return Health(State.WRONG, f"/health answers {status} {str(body)[:200]}")


def judge_props(status: int, props: Any) -> Health:
    """The health by an answer of /props: /health answers the same for a router, which serves no model."""
    if status == 0:
        return Health(State.STARTING, f"nothing answers /props: {props}")
    if status != 200 or not isinstance(props, dict):
        return Health(State.WRONG, f"/props answers {status}: {str(props)[:200]}")
    if props.get("role") == "router" or not props.get("model_path"):
        return Health(State.WRONG, "it serves no model: llama-server runs as a router")
    return Health(State.READY)


def wait_for_ready(
    see: Callable[[], Health],
    deadline: float,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Returns when `see` finds the server ready.

    Raises Unhealthy at once when waiting will not help, else after `deadline` seconds.
    """
    began = said = clock()
    while (health := see()).state is not State.READY:
        now = clock()
        if health.state in (State.EXITED, State.WRONG, State.WAITING):
            raise Unhealthy(f"the server is {health.state.value}: {health.detail}")
        if now - began > deadline:
            raise Unhealthy(f"the server is still {health.state.value} after {deadline:.0f} s: {health.detail}")
        if now - said >= 5:
            say(f"{health.state.value}, {now - began:.0f} s so far")
            said = now
        sleep(POLL_SECONDS)
