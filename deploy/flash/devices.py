"""The disks of this machine, as lsblk tells, and the reasons why a disk may not be written."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.controller.programs import Late, program_output
from deploy.errors import BoardllamaError
from deploy.flash.card import CARD_SECTOR
from deploy.flash.display_text import masked_text, size_text
from deploy.formats.image_manifest import ImageManifest, Medium, media_text
from deploy.onboard.json_parts import parse_json

COLUMNS = "NAME,PATH,MAJ:MIN,TYPE,SIZE,LOG-SEC,RM,RO,TRAN,MODEL,SERIAL,FSTYPE,LABEL,PARTLABEL,MOUNTPOINTS"
SYS = Path("/sys/class/block")
# What a disk is for a board that it is moved to, by the bus that lsblk names. At USB may hang a card in its reader, a
# stick, or a disk in an enclosure: nobody knows where it will be.
MEDIA = {"nvme": Medium.NVME, "sata": Medium.SATA, "ata": Medium.SATA, "virtio": Medium.VIRTIO}
SYSTEM = ("/", "/boot", "/boot/efi", "/efi", "/boot/firmware", "/usr", "/var", "/home")
# Types of lsblk for what is built on top of a disk, and for what is a disk.
BUILT_ON = {"lvm": "LVM", "crypt": "LUKS", "dm": "the device mapper", "mpath": "multipath"}
WHOLE = ("disk", "loop")
SEVERAL = "more than one file system"
UNREADABLE = "a partition table that cannot be read"
# File systems of one disk or of several. A disk is a member only where its file system has several.
POOLS = {"btrfs": "a part of a btrfs of several disks", "bcachefs": "a part of a bcachefs of several disks"}
# What `blkid -k` lists and somebody may need without seeing it, with the name that people know: no file manager shows
# what is in it, or it is no use without another disk.
MEMBERS = {
    "swap": "swap space",
    "swsuspend": "a hibernated system",
    "LVM2_member": "LVM",
    "LVM1_member": "LVM",
    "crypto_LUKS": "LUKS",
    "BitLocker": "BitLocker",
    "cs_fvault2": "FileVault",
    "apfs": "APFS",
    "zfs_member": "ZFS",
    "stratis": "Stratis",
    "vdo": "VDO",
    "DM_integrity": "dm-integrity",
    "DM_verity_hash": "dm-verity",
    "DM_snapshot_cow": "a snapshot of LVM",
    "bcache": "bcache",
    "ceph_bluestore": "Ceph",
    "drbd": "DRBD",
    "drbdmanage_control_volume": "DRBD",
    "drbdproxy_datalog": "DRBD",
    "VMFS": "VMFS",
    "oracleasm": "Oracle ASM",
    "mpool": "mpool",
    "ubi": "UBI",
    "jbd": "the journal of another ext4",
    "xfs_external_log": "the log of another XFS",
    **{words: words for words in (*POOLS.values(), SEVERAL, UNREADABLE)},
}


@dataclass(frozen=True)
class DevicePart:
    """A disk, a partition, or what is built on a partition. `mounted` holds mount points, or [SWAP]."""

    name: str
    type: str
    size: int  # bytes
    file_system: str
    label: str
    mounted: tuple[str, ...]


@dataclass(frozen=True)
class Device:
    """A whole disk. Loop devices have no serial of their own: theirs is the path of the file behind them."""

    name: str
    path: Path
    number: str  # major:minor
    sequence: str  # the kernel's count of cards in this reader; empty before Linux 5.15
    type: str
    size: int  # bytes
    sector: int  # bytes
    removable: bool
    read_only: bool
    medium: Medium | None  # what it is for the board that it is moved to; None where that is not known
    model: str
    serial: str
    parts: tuple[DevicePart, ...]  # the disk itself first, then everything on it

    @property
    def display_name(self) -> str:
        """Such as /dev/nvme1n1, 1 TB, NVMe disk, WD SN580, serial 24270X800001."""
        serial = f"serial {self.serial}" if self.serial else "no serial"
        known = [str(self.path), size_text(self.size), self.medium and self.medium.value, self.model, serial]
        return ", ".join(filter(None, known))


def list_devices() -> list[Device]:
    """All whole disks. Raises BoardllamaError when lsblk fails."""
    found = parse_json(disk_program_output("lsblk", "--json", "--bytes", "--output", COLUMNS))
    return [parse_device(node) for node in found["blockdevices"] if node["type"] in WHOLE]


def parse_device(node: dict[str, Any], sys: Path = SYS) -> Device:
    """The disk of a node in the JSON of lsblk. `sys` holds a folder for each disk, as /sys/class/block does."""
    serial = (node["serial"] or "").strip() or sysfs_attribute(sys / node["name"] / "loop/backing_file")
    return Device(
        name=node["name"],
        path=Path(node["path"]),
        number=node["maj:min"],
        sequence=sysfs_attribute(sys / node["name"] / "diskseq"),
        type=node["type"],
        size=int(node["size"] or 0),
        sector=int(node["log-sec"]),
        removable=is_removable(node, sys),
        read_only=bool(node["ro"]),
        medium=disk_medium(node, sys),
        model=masked_text((node["model"] or "").strip()),
        serial=masked_text(serial),
        parts=tuple(parse_parts(node)),
    )


def parse_parts(node: dict[str, Any]) -> Iterator[DevicePart]:
    """The node itself, then everything below it."""
    mounted = tuple(point for point in node["mountpoints"] if point)
    label = node["label"] or node["partlabel"] or ""
    yield DevicePart(node["name"], node["type"], int(node["size"] or 0), node["fstype"] or "", label, mounted)
    for child in node.get("children", ()):
        yield from parse_parts(child)


def disk_medium(node: dict[str, Any], sys: Path) -> Medium | None:
    """What the disk is for a board that it is moved to; None where that is not known."""
    memory = {"SD": Medium.CARD, "MMC": Medium.EMMC}.get(sysfs_attribute(sys / node["name"] / "device/type"))
    return memory or MEDIA.get(node.get("tran") or "")


def is_removable(node: dict[str, Any], sys: Path) -> bool:
    """True for what the kernel calls removable, and for SD cards in a built-in slot, which the kernel calls fixed.

    Soldered memory has the type MMC.
    """
    return bool(node["rm"]) or sysfs_attribute(sys / node["name"] / "device/type") == "SD"


def sysfs_attribute(path: Path) -> str:
    """The text of a file of the kernel, without blanks around it; empty when the file is not there."""
    return path.read_text(errors="replace").strip() if path.is_file() else ""


def swapped_names() -> frozenset[str]:
    """Names of the disks and partitions that are swapped to, such as sdb2."""
    lines = Path("/proc/swaps").read_text().splitlines()[1:]
    return frozenset(Path(line.split()[0]).name for line in lines)


def device_refusal(device: Device, needed: int, serials: Collection[str], swapped: Collection[str]) -> str | None:
    """Why `needed` bytes may not be written to the disk; None when they may.

    `serials` are those that a person has named. Only a disk with such a serial is written although it is not removable.
    """
    if reason := usage_refusal(device, swapped):
        return reason
    if device.read_only:
        return "is write-protected: move the lock on the side of the card, or use another"
    if not device.size:
        return "is empty: there is no card in it"
    if not device.removable and not (device.serial and device.serial in serials):
        what = "a loop device" if device.type == "loop" else "not removable"
        return f"is {what}: SERIAL='{device.serial or '…'}' says that you mean it" if device.serial else f"is {what}"
    if device.sector != CARD_SECTOR:
        sectors = f"has sectors of {device.sector} bytes, images are made for {CARD_SECTOR}"
        return f"{sectors}, and would not boot: use another"
    if device.size < needed:
        has = f"{size_text(device.size)} ({device.size})"
        return f"is too small: it has {has}, the image needs {size_text(needed)} ({needed})"
    return None


def media_warning(device: Device, manifest: ImageManifest) -> str | None:
    """What to say of a disk from which the image's board does not start; None when it does, or nobody knows."""
    if not manifest.starts_from or device.medium is None or device.medium in manifest.starts_from:
        return None
    return (
        f"{device.path} is of the kind {device.medium.value}, from which {manifest.board} does not start; it starts "
        f"from: {media_text(manifest.starts_from)}"
    )


def usage_refusal(device: Device, swapped: Collection[str]) -> str | None:
    """Why nobody may write to the disk: something on it is in use. None when nothing is in use."""
    mounted = [(part, point) for part in device.parts for point in part.mounted]
    for _, point in mounted:
        if point in SYSTEM:
            return f"is what this machine runs from ({point})"
    for part in device.parts:
        if part.name in swapped or "[SWAP]" in part.mounted:
            return f"is swapped to ({part.name}): `swapoff /dev/{part.name}`, if it is not this machine's own"
    for part, point in mounted:
        return f"is mounted at {point}: `umount /dev/{part.name}` first"
    for part in device.parts:
        if why := part_refusal(part):
            return why
    return None


def part_refusal(part: DevicePart) -> str | None:
    """Why a disk with this part is refused: something larger is built on the part. None for an ordinary part."""
    what = BUILT_ON.get(part.type) or ("RAID" if part.type.startswith(("raid", "md", "linear")) else None)
    if what:
        return f"is used by {what} ({part.name})"
    return member_refusal(part.file_system, part.name)


def member_refusal(file_system: str, name: str) -> str | None:
    """Why a disk with this file system is refused; None for an ordinary file system."""
    if file_system.endswith("_member") or file_system.startswith("crypto_") or file_system in MEMBERS:
        what = MEMBERS.get(file_system, file_system)
        return f"holds {what} ({name}): if nothing of it is needed, `wipefs --all /dev/{name}` first"
    return None


def disk_program_output(*words: str, good: Collection[int] = (0,)) -> str:
    """What a program that looks at disks prints; `good` are its exit statuses. Raises BoardllamaError."""
    try:
        return program_output(*words, good=good, package="util-linux fdisk").decode(errors="replace")
    except Late as error:
        raise BoardllamaError(f"{error}: pull the card, put it in again") from None
