"""Tar files of root trees: written so that the same files are the same bytes, and searched for foreign programs."""

import re
import tarfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from deploy.debian.workspace import SOURCE_DATE_EPOCH
from deploy.errors import BoardllamaError

# Links of a tree stand as text: a wheel, in which this code is installed, holds no links.
LINK = ".symlink"
# The beginning of an ELF file whose e_machine is that of i386 or x86-64; in an initrd it stands anywhere.
X86_PROGRAM = re.compile(rb"\x7fELF[\x01\x02]\x01\x01.{9}[\x01-\x03]\x00[\x03\x3e]\x00", re.DOTALL)


def write_tar(result: Path, members: Iterable[tuple[Path, str]]) -> None:
    """Writes files and links, each a path and its name in the tar file, as root's.

    Modes become 644 or 755, so that no umask gets in, and no time is later than SOURCE_DATE_EPOCH.
    """

    def normal(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        if not member.issym():
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        member.mtime = min(int(member.mtime), SOURCE_DATE_EPOCH)
        return member

    with tarfile.open(result, "w") as tar:
        for path, name in members:
            if target := link_target(path):
                tar.addfile(normal(tar_link(name, target)))
            else:
                tar.add(path, name, recursive=False, filter=normal)


def tar_link(name: str, target: str) -> tarfile.TarInfo:
    """A link as a member of a tar file."""
    link = tarfile.TarInfo(name)
    link.type, link.linkname, link.mode, link.mtime = tarfile.SYMTYPE, target, 0o777, SOURCE_DATE_EPOCH
    return link


def link_target(path: Path) -> str | None:
    """Where NAME leads, of a file NAME.symlink among the files of a tree; None for any other file."""
    return path.read_text().strip() if path.suffix == LINK else None


def files_below(folder: Path, prefix: str = "") -> Iterable[tuple[Path, str]]:
    """Every path below a folder, in order, with its name in a tar file: `prefix` and the path inside the folder.

    A file NAME.symlink has the name of the link that it stands for.
    """
    for path in sorted(folder.rglob("*")):
        yield path, prefix + str(path.relative_to(folder)).removesuffix(LINK)


def refuse_foreign_programs(tree: Path) -> None:
    """Raises BoardllamaError when something for x86 was left in the tar file of an arm64 tree, or in its initrd."""
    with tarfile.open(tree) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if not file:
                continue
            content = unpacked_initrd(file.read()) if "/initrd.img-" in member.name else file.read(20)
            if X86_PROGRAM.search(content):
                raise BoardllamaError(f"root tree: {member.name} is for x86; a native stand-in was left behind")


def unpacked_initrd(initrd: bytes) -> bytes:
    """An initrd with its gzip archive decompressed, so that the programs in it can be found.

    The plain cpio archive that may stand before the gzip archive is left as it is. Raises BoardllamaError for an initrd
    without a gzip archive, since its content could not be judged.
    """
    for start in re.finditer(b"\x1f\x8b\x08", initrd):
        with suppress(zlib.error):
            whole = zlib.decompress(initrd[start.start() :], wbits=31)
            if whole.startswith(b"0707"):
                return initrd[: start.start()] + whole
    raise BoardllamaError("root tree: its initrd holds no archive that gzip has made; is COMPRESS=gzip still believed?")
