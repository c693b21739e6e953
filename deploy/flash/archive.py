"""An image as `make image` leaves it: verified before it is used, then read again through the same open file.

What is verified is what is used: manifest and block map are taken as the bytes that were checked, and the compressed
image is hashed a second time while it is written. A card gets its boot sectors only when both hashes were right.
"""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.controller.progress import show_states
from deploy.controller.signing import read_signed_file
from deploy.errors import BoardllamaError
from deploy.flash.display_text import size_text
from deploy.flash.progress import ByteProgress
from deploy.formats.block_map import BlockMap
from deploy.formats.image_manifest import ImageFile, ImageManifest
from deploy.paths import typed

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SUFFIX = ".img.zst"
READ_SIZE = 1 << 20  # bytes


@dataclass(frozen=True)
class Archive:
    """A verified image. `descriptor` is its compressed file, open for reading at any offset."""

    path: Path
    manifest: ImageManifest
    blocks: BlockMap
    descriptor: int

    @property
    def display_name(self) -> str:
        """File name and release, such as boardllama-rpi4 r294ce0050d9."""
        return f"{self.path.name.removesuffix(SUFFIX)} {self.manifest.release}".strip()


@contextmanager
def open_archive(path: Path, signers: Path | None = None) -> Iterator[Archive]:
    """Verifies signature, sizes and sha256 of an image. Raises BoardllamaError when any of them is wrong.

    `signers` is an allowed_signers file of ssh-keygen; without it the project's own signers count.
    """
    if not path.name.endswith(SUFFIX):
        raise BoardllamaError(
            f"{path} is no image: IMAGE= must name a file …{SUFFIX}, as {typed('image')} leaves it in dist/"
        )
    if not path.is_file():
        raise BoardllamaError(f"{path} is not there: IMAGE= must name an image, such as dist/….img.zst")
    manifest_path = companion_path(path, ".manifest.json")
    content = read_signed_file(manifest_path, companion_path(path, ".manifest.json.sig"), signers)
    manifest = ImageManifest.parse(content)
    if manifest.image.name != path.name:
        raise BoardllamaError(f"{manifest_path} is about {manifest.image.name}, not {path.name}: do not rename images")
    blocks = BlockMap.parse(checked_bytes(path.parent / manifest.bmap.name, manifest.bmap))
    if blocks.size != manifest.disk.size:
        raise BoardllamaError(
            f"the block map is for {blocks.size} bytes and the image has {manifest.disk.size}: get the image again"
        )
    descriptor = open_file(path)
    try:
        check_file(path, descriptor, manifest.image)
        yield Archive(path, manifest, blocks, descriptor)
    finally:
        os.close(descriptor)


def companion_path(path: Path, suffix: str) -> Path:
    """The path of another file of the same image: `suffix` in place of .img.zst."""
    return path.with_name(path.name.removesuffix(SUFFIX) + suffix)


def open_file(path: Path) -> int:
    """A descriptor for reading. Raises BoardllamaError when the file cannot be opened."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise BoardllamaError(f"{path} cannot be read: {error.strerror}") from None


def checked_bytes(path: Path, signed: ImageFile) -> bytes:
    """The bytes of a small file. Raises BoardllamaError unless size and sha256 are the signed ones."""
    descriptor = open_file(path)
    try:
        check_size(path, os.fstat(descriptor).st_size, signed)
        content = os.pread(descriptor, signed.size, 0)
    finally:
        os.close(descriptor)
    check_sha256(path, hashlib.sha256(content).hexdigest(), signed)
    return content


def check_file(path: Path, descriptor: int, signed: ImageFile) -> None:
    """Raises BoardllamaError unless size and sha256 of the open file are the signed ones."""
    check_size(path, os.fstat(descriptor).st_size, signed)
    progress = ByteProgress(path.name)
    progress.begin("checking", signed.size)
    with show_states(progress.status_line):
        drain_reader(compressed_reader(path, descriptor, signed), progress)


def check_size(path: Path, size: int, signed: ImageFile) -> None:
    """Raises BoardllamaError unless the size, in bytes, is the signed one."""
    if size != signed.size:
        how = "was cut short" if size < signed.size else "is too long"
        rule = f"{signed.size} ({size_text(signed.size)}) were signed"
        raise BoardllamaError(f"{path} {how}: it has {size} bytes ({size_text(size)}), {rule}: copy it again")


def check_sha256(path: Path, sha256: str, signed: ImageFile) -> None:
    """Raises BoardllamaError unless the sha256, in hexadecimal, is the signed one."""
    if sha256 != signed.sha256:
        raise BoardllamaError(
            f"{path} is damaged: its sha256 is {sha256[:12]}…, {signed.sha256[:12]}… was signed: copy it again"
        )


class HashedSource(io.RawIOBase):
    """The compressed image from its beginning, hashed on the way.

    The last read raises BoardllamaError when a byte has changed since the image was verified.
    """

    def __init__(self, path: Path, descriptor: int, signed: ImageFile) -> None:
        self.path, self.descriptor, self.signed = path, descriptor, signed
        self.digest = hashlib.sha256()
        self.offset = 0

    def readable(self) -> bool:
        return True

    def readinto(self, view: "WriteableBuffer") -> int:
        """Fills the view with the next bytes and returns how many; 0 at the end. Raises BoardllamaError."""
        try:
            count = os.preadv(self.descriptor, [view], self.offset)
        except OSError as error:
            raise BoardllamaError(f"{self.path} cannot be read any more ({error.strerror}): copy it again") from error
        self.digest.update(memoryview(view)[:count])
        self.offset += count
        if not count:
            check_sha256(self.path, self.digest.hexdigest(), self.signed)
        return count


def compressed_reader(path: Path, descriptor: int, signed: ImageFile) -> io.BufferedReader:
    """A HashedSource with a buffer, as the decompressor wants it."""
    return io.BufferedReader(HashedSource(path, descriptor, signed), READ_SIZE)


def drain_reader(reader: io.BufferedReader, progress: ByteProgress | None = None) -> None:
    """Reads to the end, where a HashedSource compares what it has hashed."""
    while piece := reader.read(READ_SIZE):
        if progress:
            progress.add(len(piece))
