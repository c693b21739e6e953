"""What makes a gateway's waits shorter than they are."""

from pathlib import Path

from deploy.onboard.gateway import keeper
from deploy.onboard.gateway.gateway_places import GatewayPlaces


def hurried(config: bytes) -> bytes:
    """haproxy.cfg with other times."""
    return config.replace(b" inter 2s fall 3", b" inter 2s downinter 200ms fall 5").replace(
        b"agent-inter 2s", b"agent-inter 300ms"
    )


def keep(config: str, runtime: str, port: int) -> None:
    """The keeper of these places, in a hurry."""
    keeper.LOOK_SECONDS, keeper.AGAIN_SECONDS, keeper.IDLE_SECONDS = 0.1, 0.3, 1.0
    keeper.run_keeper(GatewayPlaces(Path(config), Path("/nonexistent"), Path(runtime), port))
