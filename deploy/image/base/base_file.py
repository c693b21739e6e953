"""The file that BASE names, as its vendor publishes it: plain, or compressed by xz, zstd or gzip; only ever read."""

import gzip
import hashlib
import io
import lzma
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

import zstandard

from deploy.build.fetch import FetchError, download
from deploy.controller.files import folder_lock
from deploy.controller.progress import Progress, whole_duration
from deploy.errors import BoardllamaError, shown
from deploy.image.base.moving import write_sparse
from deploy.paths import cache_dir, user_path

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK = 1 << 20  # bytes
# Frames of `zstd --ultra --long=31` want a window of 2 GiB, the largest that there is.
LARGEST_WINDOW = 1 << 31
# How much larger than its archive a system is, when nothing says so: Raspberry Pi OS Lite is 5 times as large.
RATIO = 6


@dataclass(frozen=True)
class BaseFile:
    """`sha256`: what the user says that the file is; "" where nothing was said."""

    path: Path
    sha256: str = ""


def obtain_base(told: str, sha256: str) -> BaseFile:
    """The base at a path, or at an address: fetched to the cache, once, under its sha256. Raises BoardllamaError."""
    sha256 = sha256.lower()
    if sha256 and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise BoardllamaError(f"SHA256 is {shown(sha256)}: it must be 64 hexadecimal digits, as the vendor says them")
    if "://" not in told:
        path = user_path("BASE", told)
        if not path.is_file():
            raise BoardllamaError(
                f"BASE is {shown(told)}: there is no such file; give a vendor's image, or its address"
            )
        return BaseFile(path.resolve(), sha256)
    if not sha256:
        raise BoardllamaError(
            f"BASE is {shown(told)}: an address needs SHA256=, which its vendor publishes beside the image"
        )
    return BaseFile(fetch_base(told, sha256), sha256)


def fetch_base(url: str, sha256: str) -> Path:
    """The cached file of that sha256, fetched first where it is not there; what an ended run has stays."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    if urlsplit(url).scheme not in ("http", "https") or not name:
        raise BoardllamaError(f"BASE is {shown(url)}: an address begins with https:// and ends with a file's name")
    archive = cache_dir() / "bases" / sha256 / name
    archive.parent.mkdir(parents=True, exist_ok=True)
    with folder_lock(archive.parent, name):
        try:
            if not archive.exists():
                with Progress(name).during("fetching"):
                    download(url, archive, sha256)
        except FetchError as error:
            raise BoardllamaError(f"BASE: {error}") from None
    return archive


class HashedFile(io.RawIOBase):
    """A file from its beginning, hashed on the way."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.read_bytes, self.digest = file, 0, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, view: "WriteableBuffer") -> int:
        """Fills the view with the next bytes and returns how many; 0 at the end."""
        count = cast(io.BufferedReader, self.file).readinto(view)
        self.digest.update(memoryview(view)[:count])
        self.read_bytes += count
        return count

    def left_text(self, size: int, seconds: float) -> str:
        """How far it has been read, of `size` bytes, and how long the rest takes at the pace of the first `seconds`."""
        left = (size - self.read_bytes) * seconds / max(self.read_bytes, 1)
        return f"; {100 * self.read_bytes // size} %, about {whole_duration(left)} left" if self.read_bytes else ""


def zstd_reader(file: IO[bytes]) -> IO[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW)
    return cast(IO[bytes], decompressor.stream_reader(file, read_across_frames=True))


def gzip_reader(file: IO[bytes]) -> IO[bytes]:
    return cast(IO[bytes], gzip.GzipFile(fileobj=file))


# By how a file begins.
READERS: dict[bytes, Callable[[Any], IO[bytes]]] = {
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"(\xb5/\xfd": zstd_reader,
    b"\x1f\x8b": gzip_reader,
}
OTHER_ARCHIVES = {b"PK\x03\x04": "a zip archive", b"7z\xbc\xaf": "a 7z archive", b"BZh": "compressed by bzip2"}


def reader_for(path: Path) -> Callable[[Any], IO[bytes]] | None:
    """What decompresses the file; None for a plain one. Raises BoardllamaError for an archive of another kind."""
    start = file_start(path)
    for magic, kind in OTHER_ARCHIVES.items():
        if start.startswith(magic):
            raise BoardllamaError(f"{path} is {kind}: unpack it and give the image inside, as .img, .xz, .zst or .gz")
    return next((reader for magic, reader in READERS.items() if start.startswith(magic)), None)


def file_start(path: Path) -> bytes:
    """The first 6 bytes. Raises BoardllamaError for what is no readable file."""
    try:
        with path.open("rb") as file:
            return file.read(6)
    except OSError as error:
        raise BoardllamaError(f"BASE is {path}: {error.strerror}; it must be a vendor's image") from None


def unpack_base(base: BaseFile, disk: Path, progress: Progress) -> str:
    """Writes the plain image to `disk`, zeros as holes. Returns the sha256 of the file that was given.

    Raises BoardllamaError when the file is damaged or not the one that `base` says, or the disk is full.
    """
    reader, size = reader_for(base.path), base.path.stat().st_size
    check_room(base.path, disk.parent, RATIO if reader else 1)
    with base.path.open("rb") as file, told_damage(base.path):
        hashed = HashedFile(file)
        buffered = io.BufferedReader(hashed, CHUNK)
        with progress.during("unpacking", lambda seconds: hashed.left_text(size, seconds)):
            copy_sparse(reader(buffered) if reader else buffered, disk)
            while buffered.read(CHUNK):  # what may follow the end of an archive counts for the sha256
                pass
    check_base_sha256(base, hashed.digest.hexdigest())
    return hashed.digest.hexdigest()


def check_room(path: Path, folder: Path, ratio: int) -> None:
    """Raises BoardllamaError when the folder's disk cannot hold `ratio` times what the file takes."""
    needed, free = path.stat().st_blocks * 512 * ratio, shutil.disk_usage(folder).free
    if free < needed:
        raise BoardllamaError(
            f"{folder} has {free >> 20} MiB free and a copy of {path.name} needs about {needed >> 20} MiB: make room"
        )


@contextmanager
def told_damage(path: Path) -> Iterator[None]:
    """Raises BoardllamaError for what decompressors raise, and for a disk that is full."""
    try:
        yield
    except (lzma.LZMAError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError, EOFError) as error:
        raise BoardllamaError(f"{path} is damaged ({error}): get it again from its vendor") from None
    except OSError as error:
        raise BoardllamaError(f"{path} cannot be unpacked ({error.strerror}): make room, or look at the disk") from None


def copy_sparse(source: IO[bytes], disk: Path) -> None:
    """Writes a file of the same bytes, in which zeros are holes."""
    size = 0
    with disk.open("wb") as target:
        while chunk := source.read(CHUNK):
            write_sparse(target, size, chunk)
            size += len(chunk)
        target.truncate(size)


def check_base_sha256(base: BaseFile, seen: str) -> None:
    """Raises BoardllamaError unless the file is the one that the user said."""
    if base.sha256 and seen != base.sha256:
        raise BoardllamaError(
            f"{base.path} has sha256 {seen}, SHA256 says {base.sha256}: get it again, or take the sum of this file "
            "from its vendor"
        )
