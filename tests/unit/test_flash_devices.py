"""Why a disk may not be written, on what lsblk says of it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import BoardllamaError
from deploy.flash import disk_contents as module
from deploy.flash.devices import Device, device_refusal, media_warning, parse_device
from deploy.flash.disk_choice import find_disk
from deploy.flash.disk_contents import contents_refusal, read_contents
from deploy.formats.image_manifest import Disk, ImageFile, ImageManifest, Medium
from tests.unit.lsblk import disk, node, part

NEEDED = 2 * 10**9
SERIAL = "000000001206"


def refusal_text(device: Device, *serials: str, swapped: tuple[str, ...] = ()) -> str:
    """Why the disk is refused; empty when it may be written."""
    return device_refusal(device, NEEDED, serials, swapped) or ""


def test_a_card_in_a_reader_may_be_written() -> None:
    assert refusal_text(disk(part(), part("sdb2", fstype="ext4"))) == ""


@pytest.mark.parametrize("point", ["/", "/boot/firmware", "/usr", "/home"])
def test_the_disk_that_the_system_runs_from_never(point: str) -> None:
    system = disk(part(mountpoints=[None, point]))
    assert refusal_text(system, SERIAL) == f"is what this machine runs from ({point})"


def test_the_system_may_stand_deep_below_it() -> None:
    root = part("vg-root", type="lvm", fstype="ext4", mountpoints=["/"])
    locked = part("sdb3_crypt", type="crypt", fstype="LVM2_member", children=[root])
    assert "runs from" in refusal_text(disk(part("sdb3", fstype="crypto_LUKS", children=[locked])), SERIAL)


@pytest.mark.parametrize(
    ("below", "words"),
    [
        (part(mountpoints=["/media/me/bootfs"]), "is mounted at /media/me/bootfs: `umount /dev/sdb1` first"),
        (part(mountpoints=["[SWAP]"]), "is swapped to (sdb1)"),
        (part(fstype="swap"), "holds swap space (sdb1)"),
        (part(fstype="swsuspend"), "holds a hibernated system (sdb1)"),
        (part(fstype="ceph_bluestore"), "holds Ceph (sdb1)"),
        (part(fstype="LVM2_member"), "holds LVM (sdb1): if nothing of it is needed, `wipefs --all /dev/sdb1` first"),
        (part(fstype="linux_raid_member"), "holds linux_raid_member"),
        (part(fstype="crypto_LUKS"), "holds LUKS"),
        (part(fstype="zfs_member"), "holds ZFS"),
        (part(fstype="stratis"), "holds Stratis (sdb1)"),
        (part(fstype="vdo"), "holds VDO"),
        (part(fstype="DM_integrity"), "holds dm-integrity"),
        (part(fstype="BitLocker"), "holds BitLocker"),
        (part(fstype="apfs"), "holds APFS"),
        (part(fstype="jbd"), "holds the journal of another ext4"),
        (part(fstype=None, children=[part("md0", type="raid1")]), "is used by RAID (md0)"),
        (part(fstype=None, children=[part("x", type="crypt")]), "is used by LUKS (x)"),
        (part(fstype=None, children=[part("x", type="dm")]), "is used by the device mapper (x)"),
    ],
)
def test_a_disk_of_which_any_part_is_in_use_never(below: dict[str, Any], words: str) -> None:
    assert refusal_text(disk(below), SERIAL).startswith(words)


@pytest.mark.parametrize(
    "file_system", ["ext4", "btrfs", "xfs", "ntfs", "exfat", "f2fs", "hfsplus", "iso9660", "bcachefs"]
)
def test_an_ordinary_file_system_is_no_reason(file_system: str) -> None:
    assert refusal_text(disk(part(fstype=file_system))) == ""


def test_every_kind_of_member_that_this_blkid_knows_is_refused_by_name() -> None:
    """The kinds that are no use alone, or that no file manager shows, among all that libblkid tells apart."""
    known = subprocess.run(["/usr/sbin/blkid", "-k"], capture_output=True, text=True, check=True).stdout.split()
    parts = {name for name in known if name.endswith("_member") or name.startswith(("DM_", "crypto_", "drbd"))}
    assert len(parts) > 10
    assert [name for name in sorted(parts) if not refusal_text(disk(part(fstype=name))).startswith("holds ")] == []


@pytest.mark.parametrize(
    ("file_system", "offset", "count", "words"),
    [
        ("btrfs", 0x10088, 1, ""),
        ("btrfs", 0x10088, 3, "holds a part of a btrfs of several disks (sdb1)"),
        ("bcachefs", 4096 + 123, 2, "holds a part of a bcachefs of several disks (sdb1)"),
        ("ext4", 0x10088, 3, ""),
    ],
)
def test_a_pool_s_disk_is_told_from_a_file_system_by_its_superblock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file_system: str, offset: int, count: int, words: str
) -> None:
    """lsblk and blkid call both by the same name."""
    fake_blkid(monkeypatch, f"ID_FS_TYPE={file_system}\n", 2048, 8192)
    card = tmp_path / "card"
    card.write_bytes(bytes((1 << 20) + offset) + bytes([count]) + bytes(8))
    seen = contents_refusal(read_contents(disk(path=str(card)))[1:]) or ""
    assert seen.startswith(words) and bool(seen) == bool(words)


def test_swap_that_lsblk_does_not_show() -> None:
    assert refusal_text(disk(part(fstype=None)), SERIAL, swapped=("sdb1",)).startswith("is swapped to (sdb1)")


def test_a_disk_without_partitions_can_be_in_use_itself() -> None:
    assert refusal_text(disk(fstype="crypto_LUKS")).startswith("holds LUKS (sdb)")
    assert refusal_text(disk(mountpoints=["/mnt"])).startswith("is mounted at /mnt")


def test_a_disk_that_is_not_removable_only_when_its_serial_is_named() -> None:
    fixed = disk(rm=False)
    assert refusal_text(fixed) == f"is not removable: SERIAL='{SERIAL}' says that you mean it"
    assert refusal_text(fixed, "another") != ""
    assert refusal_text(fixed, SERIAL) == ""
    assert refusal_text(disk(rm=False, serial=None), "") == "is not removable"


@pytest.mark.parametrize(("kind", "removable"), [("SD", True), ("MMC", False)])
def test_a_card_in_a_built_in_slot_is_removable_and_soldered_memory_is_not(
    tmp_path: Path, kind: str, removable: bool
) -> None:
    (tmp_path / "mmcblk0/device").mkdir(parents=True)
    (tmp_path / "mmcblk0/device/type").write_text(f"{kind}\n")
    assert (refusal_text(disk(name="mmcblk0", rm=False, sys=tmp_path)) == "") is removable


@pytest.mark.parametrize(
    ("tran", "removable", "medium"),
    [("nvme", False, Medium.NVME), ("sata", False, Medium.SATA), ("usb", False, None), ("usb", True, None)],
)
def test_a_disk_is_written_as_a_card_is_and_named_by_its_kind(
    tran: str, removable: bool, medium: Medium | None
) -> None:
    found = disk(name="nvme1n1", rm=removable, tran=tran)
    assert found.medium is medium, "at USB may hang a card, a stick or a disk: nobody knows"
    assert (refusal_text(found) == "") is removable
    assert refusal_text(found, SERIAL) == ""
    kind = f"{medium.value}, " if medium else ""
    assert found.display_name == f"/dev/nvme1n1, 64 GB, {kind}STORAGE DEVICE, serial 000000001206"


@pytest.mark.parametrize("name", ["nvme0n1", "sda", "mmcblk0"])
def test_the_system_s_disk_never_whatever_it_is(name: str) -> None:
    system = disk(part(f"{name}p2", mountpoints=["/"]), name=name, rm=False, tran="nvme")
    assert refusal_text(system, SERIAL) == "is what this machine runs from (/)"


def test_a_disk_from_which_the_image_s_board_does_not_start_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "mmcblk0/device").mkdir(parents=True)
    (tmp_path / "mmcblk0/device/type").write_text("SD\n")
    card, nvme = disk(name="mmcblk0", sys=tmp_path, tran=None), disk(name="nvme1n1", tran="nvme")
    from_card = manifest_for({Medium.CARD: "", Medium.USB: "with an EEPROM"})
    assert media_warning(card, from_card) is None and media_warning(disk(), from_card) is None
    assert media_warning(nvme, from_card) == (
        "/dev/nvme1n1 is of the kind NVMe disk, from which rpi4 does not start; it starts from: SD card, "
        "USB disk (with an EEPROM)"
    )
    assert media_warning(nvme, manifest_for({})) is None, "an older image does not say it"


def manifest_for(media: dict[Medium, str]) -> ImageManifest:
    """The manifest of an image that starts from these, as it is read back."""
    file = ImageFile(name="x", size=1, sha256="0" * 64)
    told = ImageManifest(
        board="rpi4",
        image=file,
        bmap=file,
        disk=Disk(size=1 << 20),
        boot_sectors=((0, 512),),
        starts_from=media,
    )
    return ImageManifest.parse(told.render())


def test_a_loop_device_only_when_the_file_behind_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop0/loop").mkdir(parents=True)
    (tmp_path / "loop0/loop/backing_file").write_text("/tmp/card\n")
    found = disk(name="loop0", type="loop", rm=False, serial=None, model=None, sys=tmp_path)
    assert refusal_text(found) == "is a loop device: SERIAL='/tmp/card' says that you mean it"
    assert refusal_text(found, "/tmp/card") == ""


def test_a_disk_whose_sectors_are_not_those_of_the_image_s_tables_never() -> None:
    """It would keep every byte, and show no partition."""
    reason = "has sectors of 4096 bytes, images are made for 512, and would not boot: use another"
    assert refusal_text(parse_device(node() | {"log-sec": 4096}), SERIAL) == reason


def test_the_kernel_counts_the_cards_of_a_reader(tmp_path: Path) -> None:
    assert disk(sys=tmp_path).sequence == "", "it does so since Linux 5.15"
    (tmp_path / "sdb").mkdir()
    (tmp_path / "sdb/diskseq").write_text("46\n")
    assert disk(sys=tmp_path).sequence == "46"


def test_no_name_of_a_card_steers_the_terminal() -> None:
    assert disk(model="\x1b[2JCard", serial="1\x9b2").display_name == "/dev/sdb, 64 GB, ?[2JCard, serial 1?2"


def fake_blkid(monkeypatch: pytest.MonkeyPatch, blkid: str, start: int, size: int) -> list[tuple[str, ...]]:
    """Makes blkid say this of a disk of 64 GB with one partition, in sectors. Returns what it was asked."""
    words: list[tuple[str, ...]] = []
    one = {"node": "/dev/sdb1", "start": start, "size": size, "name": "a\x1b[31mb"}

    def asked(*command: str, **_: object) -> str:
        words.append(command)
        return blkid if command[0] == "blkid" else json.dumps({"partitiontable": {"partitions": [one]}})

    monkeypatch.setattr(module, "disk_program_output", asked)
    return words


def test_what_a_card_brings_is_shown_without_its_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_blkid(monkeypatch, "", 2048, 8192)
    assert [one.listing_line for one in read_contents(disk())] == ["sdb1           4.2 MB  unknown    a?[31mb"]
    fake_blkid(monkeypatch, "ID_FS_TYPE=ext4\nID_FS_LABEL=\x1b]0;root\x07\n", 2048, 8192)
    assert read_contents(disk())[1].label == "?]0;root?"


def test_a_partition_that_reaches_past_the_end_is_looked_at_as_far_as_there_is_a_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = fake_blkid(monkeypatch, "", 2048, 1 << 28)
    read_contents(disk())
    probes = [one for one in words if "--probe" in one]
    assert probes[-1][2:6] == ("--offset", "1048576", "--size", str(64 * 10**9 - (1 << 20)))


def test_a_blkid_that_says_nothing_of_several_file_systems_is_asked_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of util-linux 2.41 does."""

    def asked(*command: str, **_: object) -> str:
        if command == ("blkid", "-k"):
            return "vfat\next4\nsquashfs\n"
        return "ID_FS_TYPE=ext4\n" if command[-3:-1] == ("ext4", "--output") else ""

    monkeypatch.setattr(module, "disk_program_output", asked)
    assert "holds more than one file system" in (contents_refusal(read_contents(disk())) or "")


def test_a_table_for_other_sectors_hides_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_blkid(monkeypatch, "ID_PART_TABLE_TYPE=PMBR\n", 1, 1000)
    refusal = contents_refusal(read_contents(disk())) or ""
    assert refusal.startswith("holds a partition table that cannot be read (sdb)")


def test_too_small_empty_and_write_protected() -> None:
    small = refusal_text(disk(size=NEEDED - 512))
    assert small == "is too small: it has 2 GB (1999999488), the image needs 2 GB (2000000000)"
    assert refusal_text(disk(size=0)) == "is empty: there is no card in it"
    assert "lock" in refusal_text(disk(ro=True))


def test_a_disk_is_named_by_name_path_or_link(tmp_path: Path) -> None:
    card = disk(part())
    (tmp_path / "by-id").symlink_to("/dev/sdb")
    for word in ("sdb", "/dev/sdb", str(tmp_path / "by-id")):
        assert find_disk(word, [card]) == card


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("sdb1", "/dev/sdb1 is a part of /dev/sdb: name the whole disk"),
        ("sdx", "/dev/sdx is no disk of this machine: there are /dev/sdb"),
        (__file__, "is a regular file: TO_FILE="),
    ],
)
def test_what_is_no_disk_is_said_to_be_none(word: str, words: str) -> None:
    with pytest.raises(BoardllamaError) as caught:
        find_disk(word, [disk(part())])
    assert words in str(caught.value)
