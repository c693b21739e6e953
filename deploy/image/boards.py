"""The kinds of board, and what the image of each consists of: the data files of board_names.py, validated once."""

from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from deploy.errors import BoardllamaError, shown
from deploy.formats.image_manifest import Medium
from deploy.formats.values import first_breach
from deploy.image.board_names import PROFILES, profile_names, told_profile
from deploy.models.catalogue.entries import CATALOGUE
from deploy.onboard.spelling import nearest_name
from deploy.paths import typed, user_path

MIB = 2**20
SECTOR_BYTES = 512


class Table(Enum):
    """Partition tables, by genimage's names. Both are a GPT, which Linux reads.

    HYBRID has an MBR that shows the boot partition too: the boot ROM of a Raspberry Pi 3 reads no other table.
    """

    GPT = "gpt"
    HYBRID = "hybrid"


class Emulator(Enum):
    """QEMU's machine that starts the image as the board does. NONE: the image is judged by its content alone.

    QEMU's `raspi4b` does not reach user space, and it has no RockPro64, no Raspberry Pi 5 and no RK3588.
    """

    EFI = "virt"
    RASPI3 = "raspi3b"
    NONE = "none"


class ProfilePart(BaseModel):
    """A part of a data file, where a name that nobody knows is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Blob(ProfilePart):
    """A boot loader outside of any partition. `path`: in the root tree. `sector`: on the disk, each of 512 bytes."""

    path: str
    sector: PositiveInt

    @property
    def offset(self) -> int:
        """On the disk, in bytes."""
        return self.sector * SECTOR_BYTES


class BoardProfile(ProfilePart):
    """A kind of board. `name`: its group in inventories, whose group data hold for its image; `alias`: a shorter name.

    `cpu`: a name of deploy/cpu.py. `cores`: how many it has. `memory_mib`: what Linux finds on the smallest board of
    this kind, where a model must fit. `device_trees`: the files that describe it, in whichever kernel has them.
    `starts_from`: what the board starts from, each with what that takes, or "". `expect`: what its owner should know,
    each with where it is known from. `sources`: where a value comes from, by the name of its field.
    """

    name: str
    title: str
    cpu: str
    cores: PositiveInt
    memory_mib: PositiveInt
    sources: dict[str, str]
    alias: str = ""
    device_trees: tuple[str, ...] = ()
    starts_from: dict[Medium, str] = {}
    expect: tuple[str, ...] = ()

    @property
    def short_name(self) -> str:
        """What people type, and what the files in dist/ are called."""
        return self.alias or self.name

    @property
    def memory(self) -> int:
        """What Linux finds on the smallest board of this kind, in bytes."""
        return self.memory_mib * MIB


class DebianBoard(BoardProfile):
    """A board for which an image is made of Debian's packages alone. Others need BASE, an image of their vendor.

    `starts_by`: the programs that start Linux, for people. `suites`: of Debian, beside the stable one, for the
    packages that are named as NAME/SUITE; the board then stays on the kernel series of its image. `files`: the folder
    of root/ whose files are in the tree when kernel and initrd are made. `initrd_trees`: patterns of device trees whose
    disks the initrd reaches. `needs`: patterns, each of which must match a file of the boot partition. `blobs` lie
    before the first partition, which begins at `first_mib`. `lacks`: what this image cannot do on the board.
    """

    starts_by: str
    kernel: str
    packages: tuple[str, ...]
    files: str
    initrd_trees: tuple[str, ...]
    table: Table
    needs: tuple[str, ...]
    emulator: Emulator
    blobs: tuple[Blob, ...] = ()
    first_mib: PositiveInt = 1
    suites: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    @property
    def first(self) -> int:
        """The first partition's offset in bytes."""
        return self.first_mib * MIB

    @property
    def has_emulator(self) -> bool:
        return self.emulator is not Emulator.NONE


def board_profile(told: dict[str, Any]) -> BoardProfile:
    """The board that a data file tells of. Raises BoardllamaError with the first rule that the file breaks."""
    kind = DebianBoard if "kernel" in told else BoardProfile
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        raise BoardllamaError(f"{PROFILES.name}/{told['name']}.json: {first_breach(error)}") from None


BOARDS = {name: board_profile(told_profile(name)) for name in profile_names()}
DEBIAN_BOARDS = {name: board for name, board in BOARDS.items() if isinstance(board, DebianBoard)}
_NAMES = {name: board for board in BOARDS.values() for name in (board.name, board.short_name)}


def board_named(name: str) -> BoardProfile:
    """The board of that name or short name. Raises BoardllamaError with the nearest valid name, and all valid names."""
    if name in _NAMES:
        return _NAMES[name]
    near = nearest_name(name, _NAMES, always=True)
    seen = f"BOARD is {shown(name)}: did you mean {near!r}?" if name else "say which board: make image BOARD=NAME."
    raise BoardllamaError(f"{seen} Valid: {', '.join(_NAMES)}")


def debian_board(name: str) -> DebianBoard:
    """As board_named, for an image without a base. Raises BoardllamaError also for a board that needs one."""
    board = board_named(name)
    if not isinstance(board, DebianBoard):
        raise BoardllamaError(
            f"BOARD is {shown(name)}: Debian cannot start a {board.title} by itself; add BASE=, the board's image from "
            f"its vendor. Without BASE: {', '.join(DEBIAN_BOARDS)}"
        )
    return board


def model_data(wanted: str) -> dict[str, str | None]:
    """The settings for `wanted`, the MODEL of `make image`; empty: as group data say.

    Raises BoardllamaError.
    """
    if not wanted:
        return {}
    if wanted in ("smoke", "hub", "none", "auto", *CATALOGUE):
        return {"model": None if wanted == "none" else wanted}
    path = user_path("MODEL", wanted)
    if not path.is_file():
        raise BoardllamaError(
            f"MODEL is {shown(wanted)}: it must be smoke, hub, none, auto, a name that {typed('models')} lists, or "
            f"a .gguf file that is there"
        )
    return {"model": "path", "model_path": str(path.absolute())}
