"""boardllama.txt of one card, in the FAT partition of the image.

mtools write the file into a copy of that partition. The card gets the blocks that differ from the image after
everything else and before the boot sectors: no card boots without its identity, and the identity is read back as all
the rest.
"""

import os
import tempfile
from contextlib import closing
from datetime import datetime
from pathlib import Path

from deploy.controller.programs import program_output
from deploy.errors import BoardllamaError
from deploy.flash.archive import Archive
from deploy.flash.layout import Kept
from deploy.flash.stream import decompressed_pieces
from deploy.formats.spans import IO_BLOCK, Span
from deploy.onboard.identity.boardllama_txt import FILE, Identity, read_identity
from deploy.onboard.identity.lines import decode_file

MTOOLS_DEADLINE = 60  # seconds
FAT_EPOCH = 315532800.0  # 1980-01-01, in seconds since 1970


def read_identity_partition(archive: Archive) -> bytes:
    """The bytes of the identity partition in the image. Raises BoardllamaError when the image has no such partition."""
    span = archive.manifest.identity_span
    if span is None:
        name = archive.display_name
        raise BoardllamaError(f"{name} has no identity partition: leave out host name, keys and the like")
    kept = Kept([span])
    with closing(decompressed_pieces(archive, kept.spans)) as found:
        for piece in found:
            kept.take(piece.span, piece.data)
            if piece.span.end >= span.end:
                break
    return kept.read(span)


def identity_changes(archive: Archive, original: bytes, text: str) -> list[tuple[Span, bytes]]:
    """The blocks of the image, with their new bytes, that give a card this boardllama.txt. Raises BoardllamaError."""
    span = archive.manifest.identity_span
    assert span is not None
    changed = with_identity_file(original, text, archive.manifest.created)
    offsets = range(0, len(original), IO_BLOCK)
    return [
        (Span(span.start + offset, span.start + offset + IO_BLOCK), changed[offset : offset + IO_BLOCK])
        for offset in offsets
        if changed[offset : offset + IO_BLOCK] != original[offset : offset + IO_BLOCK]
    ]


def with_identity_file(fat: bytes, text: str, created: str) -> bytes:
    """The FAT file system `fat` with the text as its FILE. Raises BoardllamaError when the text does not read back.

    The file has the time of the image, so that the same identity gives the same bytes again.
    """
    with tempfile.TemporaryDirectory(prefix="boardllama-") as folder:
        disk, file = Path(folder, "fat"), Path(folder, FILE)
        disk.write_bytes(fat)
        file.write_text(text)
        run_mtool("mcopy", "-i", str(disk), "-o", str(file), f"::{FILE}", created=created)
        if run_mtool("mtype", "-i", str(disk), f"::{FILE}", created=created) != text.encode():
            raise BoardllamaError(f"{FILE} cannot be read back from the identity partition: get the image again")
        return disk.read_bytes()


def identity_text(identity: Identity, archive: Archive) -> str:
    """boardllama.txt of a card with this image. A comment names the image: others have a partition there, too."""
    return f"{identity.render()}{image_mark(archive)}\n"


def image_mark(archive: Archive) -> str:
    """The line in boardllama.txt that only cards with this image have."""
    return f"# Written with the image {archive.manifest.image.sha256}"


def read_host_name(disk: Path, archive: Archive) -> str | None:
    """The host name of a card that was written with this image and may boot; None for every other card."""
    span = archive.manifest.identity_span
    if span is None or not can_boot(disk):
        return None
    try:
        said = run_mtool("mtype", "-i", f"{disk}@@{span.start}", f"::{FILE}", created=archive.manifest.created)
    except BoardllamaError:
        return None
    text = decode_file(said)
    return read_identity(text)[0].hostname if image_mark(archive) in text.splitlines() else None


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
