"""Is the server healthy, and if not, why? One judgement for the deploy's gate and the suite that judges boards.

`probe_command` asks a target in one round trip, `parse` reads the answer, `wait` asks until it is decided.
"""

import json
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from deploy.errors import BoardllamaError
from deploy.facts import UNIT
from deploy.launch import API_KEY

POLL_SECONDS = 0.5
# Shell command for the left side of `| curl --config -`: the API key goes from its file into curl's standard input,
# never into an argument list, which anyone may read. Prints nothing when there is no key.
KEY_AS_HEADER = f"sed -n 's/^[^#].*/header = \"Authorization: Bearer &\"/p' {API_KEY} 2>/dev/null | head -n 1"


class Unhealthy(BoardllamaError):
    """The server is not healthy and waiting longer will not help, or the deadline has passed."""


class State(Enum):
    """What the server is doing."""

    READY = "ready"
    LOADING = "loading the model"
    STARTING = "starting"
    WRONG = "answering, but not as it should"
    EXITED = "not running"


@dataclass(frozen=True)
class Health:
    """One look at the server. `detail` is the reason when the state is not READY."""

    state: State
    detail: str = ""


def probe_command(url: str) -> str:
    """A shell command that prints the unit's state, /health, /props and the journal's last lines, for `parse`."""
    curl = "curl --silent --max-time 10 --noproxy '*' --write-out '\\n%{http_code}\\n'"
    return (
        f"systemctl show -p ActiveState -p SubState -p Result -p ExecMainStatus {UNIT};"
        f" echo ==health; {curl} {shlex.quote(f'{url}/health')};"
        f" echo ==props; {KEY_AS_HEADER} | {curl} --config - {shlex.quote(f'{url}/props')};"
        f" echo ==journal; systemctl is-active --quiet {UNIT} ||"
        f" journalctl --unit {UNIT} --lines 4 --output cat --no-pager 2>/dev/null; true"
    )


def parse(output: str) -> Health:
    """The judgement on what `probe_command` printed."""
    unit, _, rest = f"{output}\n".partition("==health\n")
    health, _, rest = rest.partition("==props\n")
    props, _, journal = rest.partition("==journal\n")
    facts = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line)
    if facts.get("ActiveState") != "active":
        return Health(State.EXITED, gone(facts, journal))
    code, body = answer(health)
    if code == 200 and body == {"status": "ok"}:
        return judge_props(*answer(props))
    if code == 503:
        return Health(State.LOADING, "/health answers 503")
    if code in (0, None):
        return Health(State.STARTING, "nothing answers yet")
    return Health(State.WRONG, f"/health answers {code} {body}")


def gone(facts: dict[str, str], journal: str) -> str:
    """Why the process is not there, with its own last words."""
    status = f"{facts.get('ActiveState', 'unknown')} ({facts.get('SubState', '')}), {facts.get('Result', '')}"
    said = " / ".join(line.strip() for line in journal.splitlines() if line.strip())
    return f"{UNIT} is {status}, status {facts.get('ExecMainStatus', '?')}; its last lines: {said or 'none'}"


def answer(section: str) -> tuple[int | None, object]:
    """HTTP status and parsed body of one curl call; status 0 when nothing answered."""
    body, _, last = section.strip("\n").rpartition("\n")
    code = int(last) if last.isdigit() else None
    try:
        return code, json.loads(body or "null")
    except json.JSONDecodeError:
        return code, body


def judge_props(code: int | None, props: object) -> Health:
    """A server without a model answers /health like one that has one: it is a router, and /props tells."""
    if code != 200 or not isinstance(props, dict):
        return Health(State.WRONG, f"/props answers {code}: {str(props)[:200]}")
    if props.get("role") == "router" or not props.get("model_path"):
        return Health(State.WRONG, "it serves no model: llama-server runs as a router")
    return Health(State.READY)


def wait(
    look: Callable[[], Health],
    deadline: float,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Returns when `look` finds it ready. Raises Unhealthy with the reason, after `deadline` s at the latest."""
    began = said = clock()
    while (health := look()).state is not State.READY:
        now = clock()
        if health.state in (State.EXITED, State.WRONG) and not is_settling(health, now - began):
            raise Unhealthy(f"the server is {health.state.value}: {health.detail}")
        if now - began > deadline:
            raise Unhealthy(f"the server is still {health.state.value} after {deadline:.0f} s: {health.detail}")
        if now - said >= 5:
            say(f"{health.state.value}, {now - began:.0f} s so far")
            said = now
        sleep(POLL_SECONDS)


def is_settling(health: Health, seconds: float) -> bool:
    """A unit that systemd is starting this very moment is neither up nor down; more than ten seconds of it is down."""
    return "activating (start" in health.detail and seconds < 10
