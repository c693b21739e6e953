"""A bundle: a tar whose first member lists the others by hash, and whose second one signs that list.

Files lie in it as in the cache, where the code looks for them before it asks any network.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Literal

from pydantic import ValidationError

from deploy.controller import signing
from deploy.controller.files import sync
from deploy.errors import BoardllamaError
from deploy.formats.values import Frozen, Sha256, first_breach
from deploy.hosts.store import BigFile
from deploy.models.receipt import accept_part, is_verified
from deploy.onboard.server.value_rules import is_path
from deploy.paths import dist_dir, typed

LIST, SIGNATURE = "bundle.json", "bundle.json.sig"
# What the names of images begin with: they go where `make flash` looks for them.
IMAGES = "dist"
BLOCK = 1 << 20
LONGEST_LIST = 64 << 20  # bytes: a quarter of a million files


class BundleEntry(Frozen):
    """A file. `size` in bytes; `mode`: octal digits."""

    sha256: Sha256
    size: int
    mode: Literal["644", "755"]


class BundleList(Frozen):
    """`files` by their paths in the cache."""

    version: Literal[1] = 1
    files: dict[str, BundleEntry]


def list_of(files: Mapping[str, BigFile]) -> BundleList:
    """The list of files by their paths in the cache."""
    return BundleList(
        files={
            name: BundleEntry(sha256=file.sha256, size=file.size, mode="755" if file.mode == "755" else "644")
            for name, file in files.items()
        }
    )


def write_bundle(path: Path, files: Mapping[str, BigFile]) -> None:
    """Makes the bundle; it gets its name when it is whole. Raises BoardllamaError, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=".bundle-") as place:
        told, made = Path(place, LIST), Path(place, "tar")
        told.write_text(list_of(files).model_dump_json(indent=1))
        with tarfile.open(made, "w") as archive:
            for part in (told, signing.sign_file(told)):
                archive.addfile(member_of(part.name, part.stat().st_size), io.BytesIO(part.read_bytes()))
            for name, file in files.items():
                add_file(archive, name, file)
        sync(made)
        made.replace(path)
    sync(path.parent)


def add_file(archive: tarfile.TarFile, name: str, file: BigFile) -> None:
    """Adds a file, which must be what the list says of it. Raises BoardllamaError, OSError."""
    with file.source.open("rb") as content:
        source = HashedReader(content)
        archive.addfile(member_of(name, file.size), source)
    if source.digest.hexdigest() != file.sha256:
        raise BoardllamaError(f"{file.source} has not the sha256 {file.sha256} any more: delete it, run again")


class HashedReader(io.RawIOBase):
    """Reads a file and hashes what was read."""

    def __init__(self, content: IO[bytes]) -> None:
        self.content, self.digest = content, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self.content.read(size)
        self.digest.update(block)
        return block


def member_of(name: str, size: int) -> tarfile.TarInfo:
    """A member of the tar, of nobody and of no time: the same files give the same bytes, but for the signature."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def read_bundle_list(path: Path, signers: Path | None = None) -> BundleList:
    """The list of a bundle that one of the signers has signed. Raises BoardllamaError, OSError."""
    with opened_bundle(path) as archive:
        return signed_list(archive, path, signers)


def unpack_bundle(path: Path, cache: Path, signers: Path | None = None) -> list[str]:
    """Puts into the cache, and into the folder of images, what they lack, each file proven before it gets its name.

    Returns the names of these.

    Raises BoardllamaError for a bundle that is not what was signed; OSError.
    """
    with opened_bundle(path) as archive:
        listed = signed_list(archive, path, signers).files
        places = {name: path_here(name, cache) for name in listed}
        lacking = {name for name, one in listed.items() if not is_verified(places[name], one.sha256, one.size)}
        there = {member.name: member for member in archive}
        for name in sorted(lacking, key=lambda one: there[one].offset if one in there else 0):
            content = content_of(archive, there[name]) if name in there else None
            if content is None:
                raise BoardllamaError(f"{path} lacks {name}, which it lists: it is not whole, copy it again")
            bring_into_cache(content, places[name], listed[name], path)
    return sorted(lacking)


def path_here(name: str, cache: Path) -> Path:
    """Where a file of a bundle belongs on this controller."""
    folder, _, rest = name.partition("/")
    return dist_dir() / rest if folder == IMAGES else cache / name


def content_of(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes] | None:
    """The bytes of a member; None for one that is no plain file: a link, or holes in place of bytes."""
    return archive.extractfile(member) if member.isreg() and not member.issparse() else None


def bring_into_cache(content: IO[bytes], place: Path, entry: BundleEntry, bundle: Path) -> None:
    """Writes a file of a bundle beside its place, proves it, and gives it its name. Raises BoardllamaError, OSError."""
    place.parent.mkdir(parents=True, exist_ok=True)
    part, digest = place.with_name(f".{place.name}.part"), hashlib.sha256()
    with part.open("wb") as file:
        while block := content.read(BLOCK):
            digest.update(block)
            file.write(block)
    if digest.hexdigest() != entry.sha256:
        part.unlink()
        raise BoardllamaError(f"{bundle}: {place.name} is not what was signed: the file is damaged, copy it again")
    part.chmod(int(entry.mode, 8))
    accept_part(part, place, entry.sha256)


@contextmanager
def opened_bundle(path: Path) -> Iterator[tarfile.TarFile]:
    """The tar of a bundle. Raises BoardllamaError for a file that is none, or not whole."""
    try:
        with tarfile.open(path, "r:") as archive:
            yield archive
    except OSError as error:
        raise BoardllamaError(f"{error.filename or path} cannot be read or written: {error.strerror}") from None
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise BoardllamaError(f"{path} is no bundle, or not whole ({error}): copy it again") from None


def signed_list(archive: tarfile.TarFile, path: Path, signers: Path | None) -> BundleList:
    """The list in a bundle's tar. Raises BoardllamaError."""
    with TemporaryDirectory() as place:
        for name in (LIST, SIGNATURE):
            member = archive.next()
            content = content_of(archive, member) if member and member.name == name else None
            if content is None or not member or member.size > LONGEST_LIST:
                raise BoardllamaError(f"{path} is no bundle: {typed('bundle')} makes one")
            Path(place, name).write_bytes(content.read())
        text = signing.read_signed_file(Path(place, LIST), Path(place, SIGNATURE), signers)
    return list_from(text, path)


def list_from(text: bytes, path: Path) -> BundleList:
    """The list of the bundle at `path`, of its proven text. Raises BoardllamaError."""
    try:
        found = BundleList.model_validate_json(text)
    except ValidationError as error:
        raise BoardllamaError(f"{path}: {first_breach(error)}: a later boardllama made it") from None
    outside = [name for name in found.files if not is_path(name) or name.startswith("/") or ".." in name.split("/")]
    if outside:
        raise BoardllamaError(f"{path} lists {outside[0]!r}, which leads out of the cache")
    return found
