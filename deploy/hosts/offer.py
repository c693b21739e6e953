"""What a deploy would bring to the boards of a kind, for those that come and get it."""

from dataclasses import dataclass

from deploy.hosts.release import WantedRelease
from deploy.hosts.store import BigFile


@dataclass(frozen=True)
class Offer:
    """`kind`: the group of the boards. `programs`, `models`: files of the controller, and their places on a board."""

    kind: str
    release: WantedRelease
    programs: tuple[BigFile, ...]
    models: tuple[BigFile, ...]
