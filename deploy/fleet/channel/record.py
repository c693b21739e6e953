"""What a channel offers now, and what it offered before: offers.asc in its folder, read and written here alone.

The file is signed: another controller that publishes there goes by it, and a web server is no one to be believed.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from deploy.controller import openpgp
from deploy.controller.files import sha256_of
from deploy.controller.signing import keys_dir
from deploy.errors import BoardllamaError
from deploy.fleet.channel.repository import IN_RELEASE
from deploy.formats.values import Frozen, Sha256, first_breach
from deploy.onboard.files import write_file

FILE = "offers.asc"


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
    """`kinds` by the group of their boards. `signed`: when the index was signed last, in ISO 8601, UTC.

    `index`: the sha256 of the InRelease that offers this; "" before there is one.
    """

    version: Literal[1] = 1
    kinds: dict[str, KindRecord] = Field(default_factory=dict)
    signed: str = ""
    index: str = ""

    def is_of(self, folder: Path) -> bool:
        """Whether the channel in the folder offers this: a run that was cut leaves a record and an index apart."""
        return self.index != "" and self.index == index_hash(folder)


def index_hash(folder: Path) -> str:
    """The sha256 of the InRelease in the folder of a channel; "" where none is."""
    path = folder / IN_RELEASE
    return sha256_of(path) if path.exists() else ""


def read_record(folder: Path) -> ChannelRecord:
    """The record of the channel in a folder; an empty one where no channel is.

    Raises BoardllamaError for a channel without one, and for a record that this controller's key did not sign.
    """
    path = folder / FILE
    if not path.exists() and index_hash(folder):
        raise BoardllamaError(
            f"{path} is not there, which says what the channel offers to each kind of boards: bring it back, or have "
            "DEST name an empty folder and publish all kinds"
        )
    try:
        text = openpgp.signed_text(path.read_bytes())
    except FileNotFoundError:
        return ChannelRecord()
    except BoardllamaError as error:
        raise BoardllamaError(
            f"{path} is not what this controller's key signed ({error}), and boards trust no key but theirs: copy "
            f"{openpgp.SECRET} and {openpgp.PUBLIC} of the controller that publishes there into {keys_dir()}, or have "
            "DEST name another place"
        ) from None
    return record_from(text, path)


def record_from(text: bytes, path: Path) -> ChannelRecord:
    """The record that the proven text of a file says. Raises BoardllamaError."""
    try:
        return ChannelRecord.model_validate_json(text)
    except ValidationError as error:
        raise BoardllamaError(f"{path}: {first_breach(error)}: a later boardllama made it") from None


def write_record(folder: Path, record: ChannelRecord) -> None:
    """Replaces the record in one step. Raises BoardllamaError, OSError."""
    write_file(folder / FILE, openpgp.sign_clearly(record.model_dump_json(indent=1).encode()))
