"""A deployed board, as the suite asks it: over SSH, with its own curl, as its operator would."""

import json
import shlex
from dataclasses import dataclass
from typing import Any

from testinfra.host import Host

from deploy.onboard.server.health import Health, wait_for_ready
from deploy.onboard.service import OLLAMA, Service

DEADLINE = 120
# Shell command for the left side of `| curl --config -`: the API key goes from its file into curl's standard input,
# never into an argument list, which anyone may read. Prints nothing when there is no key.
KEY_AS_HEADER = "sed -n 's/^[^#].*/header = \"Authorization: Bearer &\"/p' {} 2>/dev/null | head -n 1"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    type: str
    text: str

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.text)


class Board:
    """A target of the inventory, and the service on it that is asked."""

    def __init__(self, host: Host, service: Service = OLLAMA) -> None:
        self.host, self.service = host, service

    def run(self, command: str) -> str:
        """Standard output of a command that must succeed."""
        done = self.host.run(command)
        assert done.rc == 0, f"{command}: status {done.rc}: {done.stderr or done.stdout}"
        return str(done.stdout).strip()

    @property
    def config(self) -> dict[str, Any]:
        """What config.json says now."""
        return dict(json.loads(self.run(f"cat {self.service.config}")))

    @property
    def url(self) -> str:
        """Where the config says that the server listens."""
        server = self.config["server"]
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(server["host"], server["host"])
        return f"http://{host}:{server['port']}"

    @property
    def key(self) -> str:
        """The first API key; "" without one."""
        return self.run(f"sed -n '/^[^#]/{{p;q}}' {self.service.api_key} 2>/dev/null || true")

    @property
    def process(self) -> int:
        """The main process of the service."""
        return int(self.run(f"systemctl show --property MainPID --value {self.service.unit}"))

    @property
    def arguments(self) -> list[str]:
        """The command line of the running server."""
        return self.run(f"tr '\\0' '\\n' < /proc/{self.process}/cmdline").splitlines()

    @property
    def health(self) -> Health:
        """The judgement of the deploy's own gate."""
        return Health.from_json(self.run(f"boardllama health --json --service {self.service.unit}"))

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Answer:
        """GET, or POST when there is a body; with the board's key when it has one."""
        data = f"-H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body))}" if body is not None else ""
        form = "-w '\\n%{http_code} %{content_type}'"
        curl = f"curl -sS --compressed -m {DEADLINE} --config - {form} {data} {self.url}{path}"
        text, _, status = self.run(f"{KEY_AS_HEADER.format(self.service.api_key)} | {curl}").rpartition("\n")
        code, _, kind = status.partition(" ")
        return Answer(int(code), kind, text)

    def restart(self) -> None:
        """Restarts the service and waits until it answers."""
        self.run(f"systemctl restart {self.service.unit}")
        self.await_health()

    def await_health(self) -> None:
        """The deploy's own gate."""
        wait_for_ready(lambda: self.health, DEADLINE, print)
