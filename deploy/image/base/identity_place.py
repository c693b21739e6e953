"""Where an image of a vendor's has boardllama.txt: on the FAT that its system mounts below /boot, else in its root.

That FAT stays as the vendor made it: the file is brought there by `make flash`, or by whoever writes it by hand. In the
root it is there from the beginning, because `make flash` only writes over its bytes.
"""

from pathlib import Path
from struct import Struct

from deploy.debian.tar_files import files_below, link_target
from deploy.formats.identity_slot import find_slot, slot_content
from deploy.formats.image_manifest import Extent
from deploy.formats.spans import IO_BLOCK, Span
from deploy.image.base.partitions import BaseDisk, BasePartition, list_fat, probe_content
from deploy.image.base.vendor_system import inside
from deploy.image.unpacked_tree import IDENTITY_LAYER
from deploy.onboard.identity.boardllama_txt import FILE, Identity

LAYERS = (IDENTITY_LAYER, Path(__file__).resolve().parent / "files")
FSTAB = "etc/fstab"
# Of a FAT: sectors of a cluster, sectors before the tables, tables, all sectors, sectors of a table; the last two in 16
# bits, and where these are 0 in 32 bits. A table of FAT32 is always said in 32.
BOOT_SECTOR_AT, BOOT_SECTOR = 13, Struct("<BHB2xHxH8xII")
FAT32_CLUSTERS = 65525


def put_identity_files(tree: Path, fat: BasePartition | None) -> None:
    """Puts what applies boardllama.txt at boot into the vendor's tree; and the file itself where it has no FAT."""
    for path, name in (member for layer in LAYERS for member in files_below(layer)):
        put_member(path, inside(tree, name))
    if fat is None:
        file = tree / FILE
        file.touch(0o600)
        file.write_bytes(empty_slot())


def put_member(path: Path, place: Path) -> None:
    """Puts a file, link or folder of a layer in its place; a folder that is there stays as it is.

    Not by tar, which would follow an absolute link of the vendor's tree to a folder of the controller.
    """
    if target := link_target(path):
        place.symlink_to(target)
    elif path.is_file():
        place.write_bytes(path.read_bytes())
        place.chmod(0o644)
    elif not place.is_dir():
        place.mkdir()
        place.chmod(0o755)


def empty_slot() -> bytes:
    """The content of the file in the root of an image: every name is explained, and nothing is said."""
    return slot_content(Identity().render())


def find_identity_fat(disk: BaseDisk, tree: Path) -> BasePartition | None:
    """The FAT that the system mounts at or below /boot, by its fstab; None without one.

    A card is written in whole blocks: a FAT that begins or ends within a block counts as none. So does a FAT that
    mtools, with which `make flash` writes the file, cannot read, here or on the computer that flashes.
    """
    fstab = inside(tree, FSTAB)
    rows = [line.split() for line in fstab.read_text(errors="replace").splitlines()] if fstab.is_file() else []
    mounted = {row[0].replace('"', "").lower() for row in rows if len(row) > 2 and is_boot_mount(row[1], row[2])}
    fitting = (partition for partition in disk.fats if mounted & names_in_fstab(disk, partition))
    whole = (one for one in fitting if not (one.start % IO_BLOCK or one.size % IO_BLOCK))
    return next((one for one in whole if is_read_by_mtools(disk.path, one.start)), None)


def is_read_by_mtools(path: Path, start: int) -> bool:
    """Whether every mtools reads the FAT at byte `start` of the disk.

    The kernel and mtools 4.0.48 (Debian 13) also take FAT32 with too few clusters; mtools 4.0.33 (Debian 12) does not.
    """
    with path.open("rb") as file:
        file.seek(start + BOOT_SECTOR_AT)
        cluster, reserved, fats, short_total, short_fat, total, fat = BOOT_SECTOR.unpack(file.read(BOOT_SECTOR.size))
    clusters = ((short_total or total) - reserved - fats * fat) // cluster
    return (short_fat > 0 or clusters >= FAT32_CLUSTERS) and list_fat(path, start).status == 0


def is_boot_mount(place: str, kind: str) -> bool:
    return kind == "vfat" and Path("/boot") in (Path(place), *Path(place).parents)


def names_in_fstab(disk: BaseDisk, partition: BasePartition) -> set[str]:
    """What fstab(5) may call the partition, in small letters."""
    seen = probe_content(disk.path, partition.start, partition.size)
    of_table = dict(partition.said).get("uuid", f"{disk.id.removeprefix('0x')}-{partition.number:02x}")
    names = {f"{name}={seen[name]}" for name in ("UUID", "LABEL") if name in seen} | {f"PARTUUID={of_table}"}
    paths = {f"/dev/disk/by-{name.replace('=', '/', 1)}" for name in names}
    return {name.lower() for name in (*names, *paths)}


def fat_extent(fat: BasePartition | None) -> Extent | None:
    """The bytes of the FAT, for the manifest."""
    return Extent(offset=fat.start, size=fat.size) if fat else None


def slot_extent(disk: BaseDisk, fat: BasePartition | None) -> Extent | None:
    """The bytes of the file in the root of a finished disk, for the manifest. Raises BoardllamaError."""
    if fat:
        return None
    slot = find_slot(disk.path, Span(disk.root.start, disk.root.end), empty_slot())
    return Extent(offset=slot.start, size=slot.size)
