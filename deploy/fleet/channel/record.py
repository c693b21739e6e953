"""What a channel offers now, and what it offered before: offers.json in its folder, read and written here alone."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from deploy.controller.files import sync
from deploy.errors import BoardllamaError
from deploy.formats.values import Frozen, Sha256, first_breach

FILE = "offers.json"


class Offering(Frozen):
    """A release in the channel. `created`, `since`: times in ISO 8601, UTC; `since`: when its phase began.

    `debs`: file names in the pool. `models`: sha256 of the files beside it. `phase`: a place in channel_phases.
    """

    release: str
    created: str
    debs: tuple[str, ...]
    models: tuple[Sha256, ...]
    phase: int
    since: str


class KindRecord(Frozen):
    """What boards of a kind are offered: `offering` to canaries and a `share` of the others, in per cent.

    `before`: the last one that reached all of them, for the rest. `stopped`: why `offering` goes to no further board.
    """

    offering: Offering
    share: int = 0
    before: Offering | None = None
    stopped: str = ""

    @property
    def offered(self) -> tuple[Offering, ...]:
        """The releases in the index."""
        both = (self.before,) if self.stopped else (self.offering, self.before)
        return tuple(one for one in both if one)


class ChannelRecord(Frozen):
    """`kinds` by the group of their boards. `signed`: when the index was signed last, in ISO 8601, UTC."""

    version: Literal[1] = 1
    kinds: dict[str, KindRecord] = Field(default_factory=dict)
    signed: str = ""


def read_record(folder: Path) -> ChannelRecord:
    """The record of the channel in a folder; an empty one where none is. Raises BoardllamaError."""
    path = folder / FILE
    try:
        return ChannelRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return ChannelRecord()
    except ValidationError as error:
        raise BoardllamaError(f"{path} is damaged ({first_breach(error)}): delete it, run again") from None


def write_record(folder: Path, record: ChannelRecord) -> None:
    """Replaces the record in one step. Raises OSError."""
    aside = folder / f".{FILE}.new"
    aside.write_text(record.model_dump_json(indent=1))
    sync(aside)
    aside.replace(folder / FILE)
    sync(folder)
