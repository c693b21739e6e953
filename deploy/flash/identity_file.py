"""boardllama.txt of one card: on the FAT of the image, or in the slot of its root (formats/identity_slot.py).

mtools write the file into a copy of the FAT, which may be a vendor's of half a gigabyte: the copy is a sparse file. The
card gets the blocks that differ from the image after everything else and before the boot sectors: no card boots without
its identity, and the identity is read back as all the rest.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deploy.controller.programs import program_output
from deploy.errors import BoardllamaError
from deploy.flash.archive import Archive
from deploy.flash.stream import decompressed_pieces
from deploy.formats.identity_slot import slot_content
from deploy.formats.spans import IO_BLOCK, Span, aligned_span, part_view
from deploy.onboard.identity.boardllama_txt import FILE, Identity, read_identity
from deploy.onboard.identity.lines import decode_file

MTOOLS_DEADLINE = 60  # seconds
COPY_DEADLINE = 300  # seconds
FAT_EPOCH = 315532800.0  # 1980-01-01, in seconds since 1970
CHUNK = 4 << 20


@dataclass(frozen=True)
class IdentityArea:
    """The part of the image in which boardllama.txt lies, in whole blocks; `copy` is a file with its bytes."""

    archive: Archive
    span: Span
    copy: Path

    def blocks_with(self, text: str) -> list[tuple[Span, bytes]]:
        """The blocks of the image that differ on a card with this boardllama.txt, with their bytes there.

        Raises BoardllamaError.
        """
        changed = self.copy.with_name("changed")
        program_output("cp", "--sparse=always", str(self.copy), str(changed), deadline=COPY_DEADLINE)
        manifest = self.archive.manifest
        if manifest.slot_span:
            put_into_slot(changed, manifest.slot_span.start - self.span.start, text)
        else:
            put_file_on_fat(changed, text, manifest.created)
        return list(changed_blocks(self.copy, changed, self.span.start))


@contextmanager
def identity_area(archive: Archive) -> Iterator[IdentityArea]:
    """The area, read from the image. Raises BoardllamaError when the image has no place for the file."""
    span = archive.manifest.slot_span or archive.manifest.identity_span
    if span is None:
        name = archive.display_name
        raise BoardllamaError(f"{name} has no identity partition: leave out host name, keys and the like")
    with tempfile.TemporaryDirectory(prefix="boardllama-") as folder:
        area = IdentityArea(archive, aligned_span(span), Path(folder, "area"))
        copy_area(area)
        yield area


def copy_area(area: IdentityArea) -> None:
    """Writes the area's bytes to its file, with holes for what is zero. Raises BoardllamaError."""
    with area.copy.open("wb") as file, closing(decompressed_pieces(area.archive, [area.span])) as pieces:
        file.truncate(area.span.size)
        for piece in pieces:
            part = piece.span.overlap_with(area.span)
            if data := bytes(part_view(piece.data, piece.span, part)).rstrip(b"\0"):
                file.seek(part.start - area.span.start)
                file.write(data)
            if piece.span.end >= area.span.end:
                break


def changed_blocks(before: Path, after: Path, start: int) -> Iterator[tuple[Span, bytes]]:
    """The blocks in which two files of one size differ, with the bytes of the second. `start`: of both, on the disk."""
    with before.open("rb") as old_file, after.open("rb") as new_file:
        for begin in range(start, start + before.stat().st_size, CHUNK):
            old, new = old_file.read(CHUNK), new_file.read(CHUNK)
            for at in range(0, len(old) if old != new else 0, IO_BLOCK):
                if old[at : at + IO_BLOCK] != new[at : at + IO_BLOCK]:
                    yield Span(begin + at, begin + at + IO_BLOCK), new[at : at + IO_BLOCK]


def put_into_slot(disk: Path, offset: int, text: str) -> None:
    """Writes the text over the file whose bytes begin at that offset. Raises BoardllamaError for a text too long."""
    with disk.open("r+b") as file:
        file.seek(offset)
        file.write(slot_content(text))


def put_file_on_fat(disk: Path, text: str, created: str) -> None:
    """Writes the text as FILE to the FAT file system `disk`. Raises BoardllamaError when the text does not read back.

    The file has the time of the image, so that the same identity gives the same bytes again.
    """
    file = disk.with_name(FILE)
    file.write_text(text)
    run_mtool("mcopy", "-i", str(disk), "-o", str(file), f"::{FILE}", created=created)
    if run_mtool("mtype", "-i", str(disk), f"::{FILE}", created=created) != text.encode():
        raise BoardllamaError(f"{FILE} cannot be read back from the identity partition: get the image again")


def identity_text(identity: Identity, archive: Archive) -> str:
    """boardllama.txt of a card with this image. A comment names the image: others have a partition there, too."""
    return f"{identity.render()}{image_mark(archive)}\n"


def image_mark(archive: Archive) -> str:
    """The line in boardllama.txt that only cards with this image have."""
    return f"# Written with the image {archive.manifest.image.sha256}"


def read_host_name(disk: Path, archive: Archive) -> str | None:
    """The host name of a card that was written with this image and may boot; None for every other card."""
    if not can_boot(disk):
        return None
    try:
        said = read_identity_file(disk, archive)
    except (BoardllamaError, OSError):
        return None
    text = decode_file(said)
    return read_identity(text)[0].hostname if image_mark(archive) in text.splitlines() else None


def read_identity_file(disk: Path, archive: Archive) -> bytes:
    """boardllama.txt of a card; empty where the image has no place for the file. Raises BoardllamaError, OSError."""
    manifest = archive.manifest
    if slot := manifest.slot_span:
        with disk.open("rb") as file:
            file.seek(slot.start)
            return file.read(slot.size)
    if span := manifest.identity_span:
        return run_mtool("mtype", "-i", f"{disk}@@{span.start}", f"::{FILE}", created=manifest.created)
    return b""


def can_boot(disk: Path) -> bool:
    """True when the first block is not zero: every run erases that block first, and writes it last."""
    try:
        with disk.open("rb") as file:
            return any(file.read(IO_BLOCK))
    except OSError:
        return False


def run_mtool(*words: str, created: str) -> bytes:
    """Standard output of a program of mtools. Raises BoardllamaError."""
    epoch = str(int(epoch_seconds(created)))
    environment = {**os.environ, "MTOOLSRC": "/dev/null", "SOURCE_DATE_EPOCH": epoch, "TZ": "UTC"}
    name = f"{FILE} of the card: {words[0]}"
    return program_output(*words, env=environment, deadline=MTOOLS_DEADLINE, package="mtools", name=name)


def epoch_seconds(created: str) -> float:
    """Seconds since 1970 of an ISO time; FAT_EPOCH without a time, as FAT knows no earlier one."""
    try:
        return datetime.fromisoformat(created.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return FAT_EPOCH
