"""Tiny disk images with a vendor's layout, for the tests of BASE=."""

import subprocess
from pathlib import Path

MIB = 1 << 20
GPT = "label: gpt\nlabel-id: 5A1B2C3D-0000-4000-8000-000000000002\n"
DOS = "label: dos\nlabel-id: 0x5a1b2c3d\n"
FAT_FIRST = "start=2048,size=4096,type=c\nstart=8192,size=16384,type=83\n"
# Ubuntu's order: the ESP is partition 15 and lies before partition 1.
ESP_BEHIND_IN_NUMBER = "1: start=8192,size=16384\n15: start=2048,size=4096,type=U\n"
ROOT_AT, ROOT_BYTES = 4 * MIB, 8 * MIB
# The beginnings by which blkid knows them: where, and what.
CONTENT = {
    "crypto_LUKS": (0, b"LUKS\xba\xbe\0\x01" + bytes(200)),
    "squashfs": (0, b"hsqs".ljust(28, b"\0") + b"\4\0\0\0"),
    "swap": (1024, (b"\1\0\0\0" + b"\xff\0\0\0").ljust(3062, b"\0") + b"SWAPSPACE2"),
}


def make_disk(path: Path, script: str, size: int = 16 * MIB) -> Path:
    """A disk with the table of sfdisk's script, and nothing in its partitions."""
    with path.open("wb") as file:
        file.truncate(size)
    subprocess.run(["/usr/sbin/sfdisk", "--quiet", str(path)], input=script, text=True, check=True, capture_output=True)
    return path


def put_ext4(disk: Path, at: int = ROOT_AT, size: int = ROOT_BYTES, features: str = "") -> Path:
    """Puts an empty ext4 file system on the disk."""
    options = ["-O", features] if features else []
    where = ["-E", f"offset={at}", str(disk), f"{size // 1024}k"]
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", *options, *where], check=True, capture_output=True)
    return disk


def put_bytes(disk: Path, at: int, content: bytes) -> Path:
    """Writes over bytes of the disk."""
    with disk.open("r+b") as file:
        file.seek(at)
        file.write(content)
    return disk


def put_fat(disk: Path, *options: str, at: int = MIB, size: int = 2 * MIB) -> Path:
    """Puts an empty FAT on the disk. `options`: for mkfs.vfat."""
    fat = disk.with_suffix(".fat")
    with fat.open("wb") as file:
        file.truncate(size)
    subprocess.run(["/usr/sbin/mkfs.vfat", *options, str(fat)], check=True, capture_output=True)
    return put_bytes(disk, at, fat.read_bytes())
