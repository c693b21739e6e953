"""Has Prometheus and Alertmanager run with the configuration that a deploy brought, and says no more where they do."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from pyinfra import host
from pyinfra.api import FactBase, operation

from deploy.errors import BoardllamaError
from deploy.fleet.monitor.monitor_places import APPLIED, UNITS
from deploy.hosts.facts.target import shell_words
from deploy.hosts.lock import TargetStep
from deploy.hosts.release import files_digest
from deploy.hosts.remote import Commands, Remote, RemoteCommandFailed
from deploy.hosts.text_files import TextFile

SERVERS = ("prometheus.service", "prometheus-alertmanager.service")
TIMER = "boardllama-fleet-page.timer"
READY_SECONDS = 60


class NotRunning(BoardllamaError):
    """A program of the monitor that does not run with its configuration."""


@dataclass(frozen=True)
class Configuration:
    """Hashes of what the programs read at a start alone, and of all that they read."""

    units: str
    texts: str

    @staticmethod
    def of_files(files: Iterable[TextFile]) -> "Configuration":
        """The hashes of these files: the programs' units, and all."""
        contents = {file.dest: file.content_bytes for file in files}
        units = {path: text for path, text in contents.items() if path.startswith(f"{UNITS}/")}
        return Configuration(files_digest(units), files_digest(contents))

    @property
    def line(self) -> str:
        """The line of the file that says with which configuration the programs run."""
        return f"{self.units} {self.texts}"


class Running(FactBase[list[str]]):
    """The line of the configuration that was applied, and whether each unit is active: ["1f… 2a…", "active", …]."""

    @staticmethod
    def default() -> list[str]:
        return []

    def command(self, units: tuple[str, ...]) -> str:
        return f"cat {APPLIED} 2>/dev/null || echo none; systemctl is-active {shell_words(units)}; true"

    def process(self, output: list[str]) -> list[str]:
        return output


@operation()
def apply_configuration(wanted: Configuration, address: str) -> Commands:
    """Restarts the programs where their units changed or one is down, reloads them where their configuration did."""
    units = (*SERVERS, TIMER)
    line, *states = host.get_fact(Running, units=units) or ["none"]
    down = states != ["active"] * len(units)
    if down or line != wanted.line:
        verb = "restart" if down or not line.startswith(f"{wanted.units} ") else "reload"
        yield TargetStep(partial(begin_programs, verb=verb, line=wanted.line, address=address))


def begin_programs(remote: Remote, verb: str, line: str, address: str) -> None:
    """Starts or reloads the programs, waits until they answer, and notes their configuration. Raises NotRunning."""
    servers = shell_words(SERVERS)
    answered = f'case "$(curl -s -o /dev/null -w "%{{http_code}}" http://{address}/-/ready)" in 200|401) exit 0;; esac'
    silent = f"echo 'http://{address} has no answer after {READY_SECONDS} s' >&2; exit 1"
    try:
        remote.run(f"systemctl daemon-reload && systemctl enable -q {servers} {TIMER} && systemctl {verb} {servers}")
        remote.run(f"systemctl restart {TIMER}")
        # 401: it asks for the password of the page, and is there.
        remote.run(f"for second in $(seq {READY_SECONDS}); do {answered}; sleep 1; done; {silent}")
    except RemoteCommandFailed as error:
        raise NotRunning(
            f"the monitor's programs do not {verb} ({str(error).splitlines()[-1]}): `journalctl -u prometheus -u "
            "prometheus-alertmanager` there says why"
        ) from None
    remote.run(f"mkdir -p {APPLIED.rpartition('/')[0]} && echo '{line}' > {APPLIED}")
