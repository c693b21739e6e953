"""A vendor's disk: which layouts are edited, and by which name the others are refused."""

from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.image.base.boot_area import check_boot_area, late_sectors, read_boot_area
from deploy.image.base.partitions import read_disk, resize_root
from deploy.image.base.superblock import check_features, read_superblock
from tests.unit.base_disks import (
    CONTENT,
    DOS,
    ESP_BEHIND_IN_NUMBER,
    FAT_FIRST,
    GPT,
    MIB,
    ROOT_AT,
    ROOT_BYTES,
    make_disk,
    put_bytes,
    put_ext4,
    put_fat,
)


@pytest.mark.parametrize(("script", "number"), [(DOS + FAT_FIRST, 2), (GPT + ESP_BEHIND_IN_NUMBER, 1)])
def test_the_root_is_the_last_partition_on_the_disk_whatever_its_number(
    tmp_path: Path, script: str, number: int
) -> None:
    disk = read_disk(put_fat(put_ext4(make_disk(tmp_path / "vendor.img1", script))), "vendor.img")
    assert (disk.root.number, disk.root.start, disk.root.size) == (number, ROOT_AT, ROOT_BYTES)
    assert [partition.start for partition in disk.fats] == [MIB]
    assert late_sectors(disk) == ((0, MIB),)


def refused(disk: Path) -> str:
    with pytest.raises(BoardllamaError) as error:
        read_disk(disk, "vendor.img")
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("holds", "said"),
    [("crypto_LUKS", "LUKS, which is encrypted"), ("squashfs", "squashfs"), ("swap", "swap space")],
)
def test_a_root_of_another_kind_is_named(tmp_path: Path, holds: str, said: str) -> None:
    at, content = CONTENT[holds]
    disk = put_bytes(
        make_disk(tmp_path / "d", GPT + FAT_FIRST.replace("type=c", "").replace("type=83", "")), ROOT_AT + at, content
    )
    assert f"partition 2, the last on the disk, holds {said}: BASE needs an ext4 root" in refused(disk)


def test_what_lies_behind_the_root_is_named(tmp_path: Path) -> None:
    at, content = CONTENT["swap"]
    disk = put_ext4(make_disk(tmp_path / "d", DOS + FAT_FIRST), MIB, 2 * MIB)
    assert "partition 2 (swap space) lies behind the ext4 of partition 1" in refused(
        put_bytes(disk, ROOT_AT + at, content)
    )


def test_what_is_no_disk_is_named(tmp_path: Path) -> None:
    text = tmp_path / "readme"
    text.write_text("Download the image from our site.\n" * 100)
    assert "vendor.img is no disk image" in refused(text)
    bare = tmp_path / "root.ext4"
    bare.write_bytes(b"")
    assert "ext4 file system without a partition table" in refused(put_ext4(bare, 0))


def test_an_image_that_was_cut_short_is_damaged(tmp_path: Path) -> None:
    disk = put_ext4(make_disk(tmp_path / "d", DOS + FAT_FIRST))
    with disk.open("r+b") as file:
        file.truncate(10 * MIB)
    assert f"it ends at byte {10 * MIB} and its last partition at {ROOT_AT + ROOT_BYTES}" in refused(disk)


def test_logical_partitions_are_refused(tmp_path: Path) -> None:
    script = DOS + "start=2048,size=4096,type=83\nstart=8192,size=20000,type=5\nstart=10240,size=16384,type=83\n"
    assert "extended partition" in refused(make_disk(tmp_path / "d", script))


def test_a_table_without_partitions_is_refused(tmp_path: Path) -> None:
    assert "no partition" in refused(make_disk(tmp_path / "d", GPT))


@pytest.mark.parametrize("feature", ["verity", "quota", "casefold", "encrypt"])
def test_features_that_cannot_be_edited_are_named(tmp_path: Path, feature: str) -> None:
    found = read_superblock(put_ext4(make_disk(tmp_path / "d", DOS + FAT_FIRST), features=feature), ROOT_AT)
    with pytest.raises(BoardllamaError, match=f"vendor.img: its root file system has the ext4 feature {feature}"):
        check_features(found, "vendor.img")


@pytest.mark.parametrize("features", ["^64bit,^huge_file", "64bit", "^has_journal", "^metadata_csum"])
def test_the_superblock_says_the_size(tmp_path: Path, features: str) -> None:
    found = read_superblock(put_ext4(make_disk(tmp_path / "d", DOS + FAT_FIRST), features=features), ROOT_AT)
    check_features(found, "vendor.img")
    assert found.size == ROOT_BYTES
    assert 0 < found.used < ROOT_BYTES // 2 or features != "^has_journal"


@pytest.mark.parametrize("script", [DOS + FAT_FIRST, GPT + ESP_BEHIND_IN_NUMBER])
def test_a_root_that_grows_changes_nothing_before_it(tmp_path: Path, script: str) -> None:
    path = put_fat(put_ext4(make_disk(tmp_path / "d", script)))
    put_bytes(path, 40 * 512, b"a loader outside of any partition")
    disk = read_disk(path, "vendor.img")
    area = read_boot_area(disk)
    with path.open("r+b") as file:
        file.truncate(ROOT_AT + 2 * ROOT_BYTES + MIB)
    resize_root(disk, 2 * ROOT_BYTES)
    after = read_disk(path, "vendor.img")
    assert after.root.size == 2 * ROOT_BYTES
    check_boot_area(area, read_boot_area(after))


@pytest.mark.parametrize("at", [0, 40 * 512, MIB + 1000, 446 + 4])
def test_a_byte_that_changed_before_the_root_is_noticed(tmp_path: Path, at: int) -> None:
    path = put_fat(put_ext4(make_disk(tmp_path / "d", DOS + FAT_FIRST)))
    area = read_boot_area(read_disk(path, "vendor.img"))
    put_bytes(path, at, b"\x0b")
    with pytest.raises(BoardllamaError, match="before the root of the base would be changed"):
        check_boot_area(area, read_boot_area(read_disk(path, "vendor.img")))
