"""What `make image` leaves in dist/: compressed image, map, bill of materials, manifest, checksums, signature."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import zstandard

from deploy.controller.files import sha256_of, sync
from deploy.controller.interrupts import uninterrupted
from deploy.debian.workspace import SOURCE_DATE_EPOCH
from deploy.formats.image_manifest import ImageFile, Package

# zstd with threads cuts the image into pieces by a fixed size: two threads and sixty-four give the same bytes. Without
# threads it does not cut, and gives others.
THREADS = 2
# Above that many mapped bytes most are a model, which no level makes smaller, or a vendor's system: level 3 takes a
# fifth of the processor time of level 9 there, and gives 7 % more bytes.
SMALL_BYTES, SMALL_LEVEL, LARGE_LEVEL = 2**30, 9, 3
# Kernels and firmware lie on two partitions: a window that spans both saves 6 % of a Raspberry Pi's image. 2^27 bytes
# is the largest window that zstd and bmaptool decompress without an option.
WINDOW_LOG = 27


@dataclass(frozen=True)
class Outputs:
    """Paths of the files of a board's image in a folder."""

    folder: Path
    board: str

    def path_of(self, suffix: str) -> Path:
        return self.folder / f"boardllama-{self.board}{suffix}"

    @property
    def image(self) -> Path:
        return self.path_of(".img.zst")

    @property
    def manifest(self) -> Path:
        """The signed file, against which all others are checked."""
        return self.path_of(".manifest.json")

    @property
    def described_files(self) -> tuple[Path, ...]:
        """The files that the manifest describes: image, map, bill of materials."""
        return self.image, self.path_of(".bmap"), self.path_of(".spdx.json")

    @property
    def all_files(self) -> tuple[Path, ...]:
        """Every file. The signature comes last: where it is, all others are."""
        return *self.described_files, self.manifest, self.path_of(".sha256"), self.path_of(".manifest.json.sig")


def compress_image(disk: Path, image: Path, mapped: int) -> None:
    """Writes `image`, zstd without a time or a name in it: the same disk, the same bytes. `mapped`: of how many."""
    level = SMALL_LEVEL if mapped < SMALL_BYTES else LARGE_LEVEL
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, threads=THREADS, write_checksum=True, enable_ldm=True, window_log=WINDOW_LOG
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    with disk.open("rb") as source, image.open("wb") as target:
        compressor.copy_stream(source, target, size=disk.stat().st_size, read_size=1 << 20, write_size=1 << 20)


def file_entry(path: Path) -> ImageFile:
    """A file as the manifest describes it."""
    return ImageFile(name=path.name, size=path.stat().st_size, sha256=sha256_of(path))


def checksum_lines(files: Iterable[ImageFile]) -> str:
    """The entries of files as `sha256sum --check` reads them."""
    return "".join(f"{file.sha256}  {file.name}\n" for file in files)


def installed_packages(status: str) -> tuple[Package, ...]:
    """Every installed package in the text of dpkg's status file, sorted by name."""
    rows = [
        dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] not in " \t")
        for block in status.strip().split("\n\n")
    ]
    found = [
        Package(name=row["Package"], version=row["Version"], arch=row["Architecture"])
        for row in rows
        if row.get("Status", "").endswith(" installed")
    ]
    return tuple(sorted(found, key=lambda package: (package.name, package.arch)))


def write_dated(path: Path, content: bytes) -> None:
    """Writes a file whose time is SOURCE_DATE_EPOCH."""
    path.write_bytes(content)
    os.utime(path, (SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH))


def publish_outputs(made: Outputs, dist: Path) -> Outputs:
    """Moves the finished files to dist/, durably; returns their paths there.

    The older image's signature is removed first, since it must not stand beside a newer file. Flushing takes time and
    comes before; Ctrl-C waits for the renaming, so that dist/ has the old image or all of the new one.
    """
    final = Outputs(dist, made.board)
    for path in made.all_files:
        sync(path)
    with uninterrupted():
        final.all_files[-1].unlink(missing_ok=True)
        for aside, path in zip(made.all_files, final.all_files, strict=True):
            aside.rename(path)
        sync(dist)
    return final
