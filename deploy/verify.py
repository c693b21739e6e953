"""Verify: the deploy ends when the server answers, and fails with the reason when it does not."""

from functools import partial

from pyinfra import host
from pyinfra.api import FactBase, operation

from deploy.facts import Service
from deploy.health import Health, State, parse, probe_command, wait
from deploy.remote import Commands, HostStep, Remote
from deploy.settings import Settings
from deploy.stage import stage
from deploy.target import board_of


class ServerHealth(FactBase[Health]):
    """One look at the server: Health(State.READY)."""

    @staticmethod
    def default() -> Health:
        return Health(State.EXITED, "nothing is known of it")

    def command(self, url: str) -> str:
        return probe_command(url)

    def process(self, output: list[str]) -> Health:
        return parse("\n".join(output))


@stage("Verify")
def healthy(settings: Settings) -> None:
    """Waits until the server is healthy, or fails the host with the reason."""
    if board_of(host).systemd:
        await_health(name="Wait until the server is healthy", settings=settings)


@operation()
def await_health(settings: Settings) -> Commands:
    """No change when the server is healthy already, or when it was deployed without a model and has none yet."""
    service = host.get_fact(Service, models_dir=settings.models_dir)
    if settings.model is None and not service.has_model:
        host.noop(f"no model yet: put a .gguf file into {settings.models_dir} and restart the service")
        return
    if host.get_fact(ServerHealth, url=settings.url).state is not State.READY:
        yield HostStep(partial(wait_on_target, settings=settings))


def wait_on_target(remote: Remote, settings: Settings) -> None:
    """Asks the target until it is decided. Raises Unhealthy."""
    wait(lambda: parse(remote.run(probe_command(settings.url))), settings.health_deadline, remote.say)
