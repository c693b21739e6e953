"""Where an image of a vendor's gets boardllama.txt, and what its tree gets from us."""

from pathlib import Path

import pytest

from deploy.formats.identity_slot import SLOT_BYTES
from deploy.formats.image_manifest import Extent
from deploy.image.base.identity_place import fat_extent, find_identity_fat, put_identity_files, slot_extent
from deploy.image.base.partitions import probe_content, read_disk
from deploy.onboard.identity.boardllama_txt import FILE, Identity, parse_identity
from tests.unit.base_disks import (
    DOS,
    ESP_BEHIND_IN_NUMBER,
    FAT_FIRST,
    GPT,
    MIB,
    ROOT_AT,
    make_disk,
    put_bytes,
    put_ext4,
    put_fat,
)

UUID = "5A1B2C3D-0000-4000-8000-00000000002F"
ESP_WITH_ID = ESP_BEHIND_IN_NUMBER.replace("type=U", f"type=U,uuid={UUID}")


@pytest.mark.parametrize(
    ("script", "line", "found"),
    [
        (DOS + FAT_FIRST, "PARTUUID=5a1b2c3d-01 /boot/firmware vfat defaults 0 2", True),
        (GPT + ESP_WITH_ID, f'PARTUUID="{UUID.lower()}" /boot/efi vfat umask=0077', True),
        (GPT + ESP_WITH_ID, f"/dev/disk/by-partuuid/{UUID.lower()} /boot vfat", True),
        (DOS + FAT_FIRST, "UUID={uuid} /boot vfat", True),
        (DOS + FAT_FIRST, "PARTUUID=5a1b2c3d-01 /config vfat", False),
        (DOS + FAT_FIRST, "PARTUUID=5a1b2c3d-01 /boot ext4", False),
        (DOS + FAT_FIRST, "# PARTUUID=5a1b2c3d-01 /boot vfat", False),
        (DOS + FAT_FIRST, "LABEL=other /boot vfat", False),
    ],
)
def test_a_fat_counts_that_the_system_mounts_below_boot(tmp_path: Path, script: str, line: str, found: bool) -> None:
    disk = read_disk(put_fat(put_ext4(make_disk(tmp_path / "vendor.img", script))), "vendor.img")
    (tmp_path / "etc").mkdir()
    uuid = probe_content(disk.path, MIB, 2 * MIB)["UUID"]
    (tmp_path / "etc/fstab").write_text(f"proc /proc proc defaults 0 0\n{line.format(uuid=uuid)}\n")
    fat = find_identity_fat(disk, tmp_path)
    assert fat_extent(fat) == (Extent(offset=MIB, size=2 * MIB) if found else None)


def test_a_fat_that_mtools_cannot_read_counts_as_none(tmp_path: Path) -> None:
    """FAT32 by its superblock, with too few clusters for it: the kernel and Debian 13's mtools read it, 12's do not.

    Whichever makes the image, the other may flash it.
    """
    empty = put_ext4(make_disk(tmp_path / "vendor.img", (DOS + FAT_FIRST).replace("size=4096", "size=6144")))
    made = put_fat(empty, "-F", "32", "-s", "1", size=3 * MIB)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/fstab").write_text("PARTUUID=5a1b2c3d-01 /boot/firmware vfat defaults 0 2\n")
    assert find_identity_fat(read_disk(made, "vendor.img"), tmp_path) is None


def test_a_system_without_fstab_has_no_such_fat(tmp_path: Path) -> None:
    disk = read_disk(put_fat(put_ext4(make_disk(tmp_path / "vendor.img", DOS + FAT_FIRST))), "vendor.img")
    assert find_identity_fat(disk, tmp_path) is None


def test_a_tree_without_a_fat_gets_the_file_and_folders_that_are_there_keep_their_modes(tmp_path: Path) -> None:
    (tmp_path / "etc/udev").mkdir(parents=True)
    (tmp_path / "etc/udev").chmod(0o700)
    put_identity_files(tmp_path, None)
    assert (tmp_path / "etc/udev").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "etc/systemd/system").stat().st_mode & 0o777 == 0o755
    link = tmp_path / "etc/systemd/system/multi-user.target.wants/boardllama-first-boot.service"
    unit = link.parent.with_name(link.name)
    assert str(link.readlink()) == f"/{unit.relative_to(tmp_path)}" and unit.stat().st_mode & 0o777 == 0o644
    file = tmp_path / FILE
    assert file.stat().st_mode & 0o777 == 0o600 and file.stat().st_size == SLOT_BYTES
    assert parse_identity(file.read_text()) == Identity()


def test_the_manifest_says_where_the_files_bytes_lie(tmp_path: Path) -> None:
    (tmp_path / "tree/etc").mkdir(parents=True)
    put_identity_files(tmp_path / "tree", None)
    disk = read_disk(put_ext4(make_disk(tmp_path / "vendor.img", DOS + FAT_FIRST)), "vendor.img")
    put_bytes(disk.path, ROOT_AT + MIB, (tmp_path / "tree" / FILE).read_bytes())
    slot = slot_extent(disk, None)
    assert slot and (slot.offset, slot.size) == (ROOT_AT + MIB, SLOT_BYTES)
