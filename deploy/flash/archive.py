"""An image as `make image` leaves it: verified before it is used, then read again through the same open file.

What is verified is what is used: manifest and block map are taken as the bytes that were checked, and the compressed
image is hashed a second time while it is written. A card gets its boot sectors when both hashes were right.
"""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.errors import BoardllamaError
from deploy.flash.block_map import BlockMap
from deploy.flash.display_text import size_text
from deploy.flash.manifest import ImageFile, ImageManifest
from deploy.signing import verify

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SUFFIX = ".img.zst"
READ_SIZE = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A verified image. `descriptor` is open for reading at any offset."""

    path: Path
    manifest: ImageManifest
    blocks: BlockMap
    descriptor: int

    @property
    def display_name(self) -> str:
        """As in boardllama-rpi4 r294ce0050d9."""
        return f"{self.path.name.removesuffix(SUFFIX)} {self.manifest.release}".strip()


@contextmanager
def open_archive(path: Path, signers: Path | None = None) -> Iterator[Archive]:
    """Verifies signature, sizes and sha256 of an image. Raises BoardllamaError."""
    manifest_path = companion_path(path, ".manifest.json")
    content = verify(manifest_path, companion_path(path, ".manifest.json.sig"), signers)
    manifest = ImageManifest.parse(content)
    if manifest.image.name != path.name:
        raise BoardllamaError(f"{manifest_path} is about {manifest.image.name}, not {path.name}: do not rename images")
    blocks = BlockMap.parse(checked_bytes(path.parent / manifest.bmap.name, manifest.bmap))
    if blocks.size != manifest.disk_size:
        raise BoardllamaError(
            f"the block map is for {blocks.size} bytes and the image has {manifest.disk_size}: get the image again"
        )
    descriptor = open_file(path)
    try:
        check_file(path, descriptor, manifest.image)
        yield Archive(path, manifest, blocks, descriptor)
    finally:
        os.close(descriptor)


def companion_path(path: Path, suffix: str) -> Path:
    """Another file of the same image."""
    return path.with_name(path.name.removesuffix(SUFFIX) + suffix)


def open_file(path: Path) -> int:
    """Raises BoardllamaError."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise BoardllamaError(f"{path} cannot be read: {error.strerror}") from None


def checked_bytes(path: Path, part: ImageFile) -> bytes:
    """A small file's bytes. Raises BoardllamaError unless they are those of the manifest."""
    descriptor = open_file(path)
    try:
        check_size(path, os.fstat(descriptor).st_size, part)
        content = os.pread(descriptor, part.size, 0)
    finally:
        os.close(descriptor)
    check_sha256(path, hashlib.sha256(content).hexdigest(), part)
    return content


def check_file(path: Path, descriptor: int, part: ImageFile) -> None:
    """Raises BoardllamaError unless the open file is that of the manifest."""
    check_size(path, os.fstat(descriptor).st_size, part)
    drain_reader(compressed_reader(path, descriptor, part))


def check_size(path: Path, size: int, part: ImageFile) -> None:
    """Raises BoardllamaError."""
    if size != part.size:
        how = "was cut short" if size < part.size else "is too long"
        raise BoardllamaError(
            f"{path} {how}: it has {size} bytes ({size_text(size)}), {part.size} ({size_text(part.size)}) were signed: "
            "copy it again"
        )


def check_sha256(path: Path, sha256: str, part: ImageFile) -> None:
    """Raises BoardllamaError."""
    if sha256 != part.sha256:
        raise BoardllamaError(
            f"{path} is damaged: its sha256 is {sha256[:12]}…, {part.sha256[:12]}… was signed: copy it again"
        )


class HashedSource(io.RawIOBase):
    """The compressed image from its beginning, hashed on its way; its end raises BoardllamaError if it has changed."""

    def __init__(self, path: Path, descriptor: int, part: ImageFile) -> None:
        self.path, self.descriptor, self.part = path, descriptor, part
        self.digest = hashlib.sha256()
        self.offset = 0

    def readable(self) -> bool:
        """For BufferedReader."""
        return True

    def readinto(self, view: "WriteableBuffer") -> int:
        """The next bytes; 0 at the end."""
        try:
            count = os.preadv(self.descriptor, [view], self.offset)
        except OSError as error:
            raise BoardllamaError(f"{self.path} cannot be read any more ({error.strerror}): copy it again") from error
        self.digest.update(memoryview(view)[:count])
        self.offset += count
        if not count:
            check_sha256(self.path, self.digest.hexdigest(), self.part)
        return count


def compressed_reader(path: Path, descriptor: int, part: ImageFile) -> io.BufferedReader:
    """Reads the compressed image from its beginning. Raises BoardllamaError at its end if it has changed."""
    return io.BufferedReader(HashedSource(path, descriptor, part), READ_SIZE)


def drain_reader(reader: io.BufferedReader) -> None:
    """Reads to the end."""
    while reader.read(READ_SIZE):
        pass
