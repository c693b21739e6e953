"""Verify: the deploy ends when the server answers, and fails with the reason when it does not."""

from pyinfra import host
from pyinfra.api import operation

from deploy.errors import BoardllamaError
from deploy.hosts.remote import Commands, HostStep, Remote
from deploy.hosts.snapshot import PROGRAM, snapshot_of
from deploy.hosts.stage_decorator import stage
from deploy.hosts.target import board_of
from deploy.onboard.server.health import Health, State, Unhealthy, wait_for_ready
from deploy.onboard.service import SERVICES

HEALTH = f"{PROGRAM} health --json"
# Seconds: the longest health_deadline. The unit ends a start that takes longer; its watcher ends a server that hangs.
DEADLINE = 3600.0


@stage("Verify")
def verify_health() -> None:
    """Waits until the server is healthy, or fails the host with the reason."""
    if board_of(host).systemd:
        folders = " or ".join(str(service.models) for service in SERVICES)
        await_health(name="Wait until the server is healthy", models=folders)


@operation()
def await_health(models: str) -> Commands:
    """No change when the server is healthy already, or when it was deployed without a model and has none yet."""
    status = snapshot_of(host).status
    if status.waiting:
        host.noop(f"no model yet: put a .gguf file into {models} and restart the service")
    elif status.health is None or status.health.state is not State.READY:
        yield HostStep(wait_on_target)


def wait_on_target(remote: Remote) -> None:
    """Asks the target until the server is healthy. Raises BoardllamaError with the reason when it will not be."""
    try:
        wait_for_ready(lambda: Health.from_json(remote.run(HEALTH)), DEADLINE, remote.say)
    except Unhealthy as error:
        raise BoardllamaError(str(error)) from None
