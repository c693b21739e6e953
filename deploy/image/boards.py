"""The kinds of board, and what the image of each consists of."""

from dataclasses import dataclass
from enum import Enum

from deploy.errors import BoardllamaError, shown
from deploy.onboard.spelling import nearest_name
from deploy.paths import user_path

MIB = 2**20


class Table(Enum):
    """Partition tables, by genimage's names. Both are a GPT, which Linux reads.

    HYBRID has an MBR that shows the boot partition too: the boot ROM of a Raspberry Pi 3 reads no other table.
    """

    GPT = "gpt"
    HYBRID = "hybrid"


class Emulator(Enum):
    """QEMU's machine that starts the image as the board does. NONE: the image is judged by its content alone.

    QEMU's `raspi4b` does not reach user space, and it has no RockPro64.
    """

    EFI = "virt"
    RASPI3 = "raspi3b"
    NONE = "none"


@dataclass(frozen=True)
class Blob:
    """A boot loader outside of any partition. `path`: in the root tree. `offset`: on the disk, in bytes."""

    path: str
    offset: int


@dataclass(frozen=True)
class BoardProfile:
    """A kind of board. `name`: its group in inventories, whose group data hold for its image; `alias`: a shorter name.

    `starts_by`: the programs that start Linux, for docs/images.md. `cpu`: a name of deploy/cpu.py. `memory`: bytes that
    Linux finds on the smallest board of this kind, where a model must fit. `files`: the folder of root/ whose files are
    in the tree when kernel and initrd are made. `initrd`: true where the kernel has no driver of the card built in.
    `needs`: patterns, each of which must match a file of the boot partition. `blobs` lie before `first`, the first
    partition's offset in bytes.
    """

    name: str
    title: str
    starts_by: str
    cpu: str
    memory: int
    kernel: str
    packages: tuple[str, ...]
    files: str
    initrd: bool
    table: Table
    needs: tuple[str, ...]
    emulator: Emulator
    blobs: tuple[Blob, ...] = ()
    first: int = MIB
    alias: str = ""

    @property
    def short_name(self) -> str:
        """What people type, and what the files in dist/ are called."""
        return self.alias or self.name

    @property
    def has_emulator(self) -> bool:
        return self.emulator is not Emulator.NONE


U_BOOT = "usr/lib/u-boot/rockpro64-rk3399"


def raspberry_pi(number: str, cpu: str, emulator: Emulator, *needs: str) -> BoardProfile:
    """All Raspberry Pis start alike, but for `needs`: what the GPU of this one loads."""
    return BoardProfile(
        name=f"raspberry_pi_{number}",
        alias=f"rpi{number}",
        title=f"Raspberry Pi {number}",
        starts_by="firmware of raspi-firmware",
        cpu=cpu,
        memory=904 * MIB,
        kernel="linux-image-arm64",
        packages=("raspi-firmware", "firmware-brcm80211"),
        files="rpi",
        initrd=True,
        table=Table.HYBRID,
        needs=("config.txt", "cmdline.txt", "vmlinuz-*", "initrd.img-*", *needs),
        emulator=emulator,
    )


_TABLE = (
    BoardProfile(
        name="qemu",
        title="QEMU arm64 machine with EFI",
        starts_by="EFI, systemd-boot",
        cpu="cortex-a76",
        memory=2000 * MIB,
        kernel="linux-image-cloud-arm64",
        packages=("systemd-boot-efi",),
        files="qemu",
        initrd=False,
        table=Table.GPT,
        needs=("EFI/BOOT/BOOTAA64.EFI", "loader/loader.conf", "loader/entries/boardllama.conf", "vmlinuz"),
        emulator=Emulator.EFI,
    ),
    raspberry_pi("4", "cortex-a72", Emulator.NONE, "start4.elf", "fixup4.dat", "bcm2711-rpi-4-b.dtb"),
    raspberry_pi("3", "cortex-a53", Emulator.RASPI3, "bootcode.bin", "start.elf", "fixup.dat", "bcm2837-rpi-3-b.dtb"),
    BoardProfile(
        name="rockpro64",
        title="RockPro64",
        starts_by="U-Boot of u-boot-rockchip, extlinux.conf",
        cpu="cortex-a72",
        memory=1900 * MIB,
        kernel="linux-image-arm64",
        packages=("u-boot-rockchip",),
        files="rockpro64",
        initrd=True,
        table=Table.GPT,
        needs=("extlinux/extlinux.conf", "vmlinuz", "initrd.img", "rk3399-rockpro64.dtb"),
        emulator=Emulator.NONE,
        blobs=(Blob(f"{U_BOOT}/idbloader.img", 64 * 512), Blob(f"{U_BOOT}/u-boot.itb", 16384 * 512)),
        first=16 * MIB,
    ),
)
BOARDS = {board.name: board for board in _TABLE}
_NAMES = {name: board for board in _TABLE for name in (board.name, board.short_name)}


def board_named(name: str) -> BoardProfile:
    """The board of that name or short name. Raises BoardllamaError with the nearest valid name, and all valid names."""
    if name in _NAMES:
        return _NAMES[name]
    near = nearest_name(name, _NAMES, always=True)
    seen = f"BOARD is {shown(name)}: did you mean {near!r}?" if name else "say which board: make image BOARD=NAME."
    raise BoardllamaError(f"{seen} Valid: {', '.join(_NAMES)}")


def model_data(wanted: str) -> dict[str, str | None]:
    """The settings for `wanted`, the MODEL of `make image`; empty: as group data say.

    Raises BoardllamaError.
    """
    if not wanted:
        return {}
    from deploy.models.catalogue.entries import CATALOGUE  # `make help` runs this file without the project's packages

    if wanted in ("smoke", "hub", "none", "auto", *CATALOGUE):
        return {"model": None if wanted == "none" else wanted}
    path = user_path("MODEL", wanted)
    if not path.is_file():
        raise BoardllamaError(
            f"MODEL is {shown(wanted)}: it must be smoke, hub, none, auto, a name that `make models` lists, or a .gguf "
            f"file that is there"
        )
    return {"model": "path", "model_path": str(path.absolute())}


def boards_line() -> str:
    """All names and short names in one line, for `make help`."""
    names = (board.name + f" ({board.alias})" * bool(board.alias) for board in _TABLE)
    return f"BOARD: {', '.join(names)}"


if __name__ == "__main__":
    print(boards_line())
