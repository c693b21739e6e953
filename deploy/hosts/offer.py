"""What a deploy would bring to the boards of a kind, for those that come and get it."""

from dataclasses import dataclass

from pyinfra.api.host import Host

from deploy.hosts.release import WantedRelease
from deploy.hosts.store import BigFile


@dataclass(frozen=True)
class Offer:
    """`kind`: the group of the boards. `programs`, `models`: files of the controller, and their places on a board."""

    kind: str
    release: WantedRelease
    programs: tuple[BigFile, ...]
    models: tuple[BigFile, ...]


OFFER = "boardllama_offer"


def note_offer(host: Host, offer: Offer) -> None:
    """Keeps what is offered to the boards that a host stands for."""
    host.connector_data[OFFER] = offer


def noted_offer(host: Host) -> Offer | None:
    """What is offered to the boards that a host stands for; None for a host that was refused, or is a board itself."""
    offer: Offer | None = host.connector_data.get(OFFER)
    return offer
