"""boardllama.txt of one card: put into the image's FAT partition before that is written.

It is written with mtools into a copy of the partition. The card then gets the blocks that this changed, after
everything else and before the boot sectors: no card boots without its identity, and it is read back as all the rest.
"""

import os
import tempfile
from contextlib import closing
from datetime import datetime
from pathlib import Path

from deploy.errors import BoardllamaError
from deploy.flash.archive import Archive
from deploy.flash.layout import Kept
from deploy.flash.spans import BLOCK, Span
from deploy.flash.stream import decompressed
from deploy.onboard.identity import FILE, Identity, read
from deploy.onboard.identity_lines import decode
from deploy.programs import output

DEADLINE = 60


def partition(archive: Archive) -> bytes:
    """The identity partition as it is in the image. Raises BoardllamaError when the image has none."""
    span = archive.manifest.identity
    if span is None:
        raise BoardllamaError(f"{archive.name} has no identity partition: leave out host name, keys and the like")
    kept = Kept([span])
    with closing(decompressed(archive, kept.wants)) as found:
        for piece in found:
            kept.take(piece.span, piece.data)
            if piece.span.end >= span.end:
                break
    return kept.read(span)


def changes(archive: Archive, original: bytes, text: str) -> list[tuple[Span, bytes]]:
    """The blocks of the image, with their new bytes, that give a card the identity. Raises BoardllamaError."""
    span = archive.manifest.identity
    assert span is not None
    changed = with_file(original, text, archive.manifest.created)
    offsets = range(0, len(original), BLOCK)
    return [
        (Span(span.start + offset, span.start + offset + BLOCK), changed[offset : offset + BLOCK])
        for offset in offsets
        if changed[offset : offset + BLOCK] != original[offset : offset + BLOCK]
    ]


def with_file(fat: bytes, text: str, created: str) -> bytes:
    """A FAT file system with the text as its FILE, read back from it. Raises BoardllamaError.

    The file's time is that of the image: the same identity twice gives the same bytes.
    """
    with tempfile.TemporaryDirectory(prefix="boardllama-") as folder:
        disk, file = Path(folder, "fat"), Path(folder, FILE)
        disk.write_bytes(fat)
        file.write_text(text)
        run("mcopy", "-i", str(disk), "-o", str(file), f"::{FILE}", created=created)
        if run("mtype", "-i", str(disk), f"::{FILE}", created=created) != text.encode():
            raise BoardllamaError(f"{FILE} cannot be read back from the identity partition: get the image again")
        return disk.read_bytes()


def text_for(identity: Identity, archive: Archive) -> str:
    """boardllama.txt of a card with this image. A comment says which: another image has its partition there too."""
    return f"{identity.render()}{mark(archive)}\n"


def mark(archive: Archive) -> str:
    """The line that only a card with this image has."""
    return f"# Written with the image {archive.manifest.image.sha256}"


def name_on(disk: Path, archive: Archive) -> str | None:
    """The host name of a card that was written with this image, and may boot; None without one."""
    span = archive.manifest.identity
    if span is None or not may_boot(disk):
        return None
    try:
        said = run("mtype", "-i", f"{disk}@@{span.start}", f"::{FILE}", created=archive.manifest.created)
    except BoardllamaError:
        return None
    text = decode(said)
    return read(text)[0].hostname if mark(archive) in text.splitlines() else None


def may_boot(disk: Path) -> bool:
    """Whether its first block is there: the last one to come, and taken away again before anything else is written."""
    try:
        with disk.open("rb") as file:
            return any(file.read(BLOCK))
    except OSError:
        return False


def run(*words: str, created: str) -> bytes:
    """Standard output of one of mtools. Raises BoardllamaError."""
    epoch = str(int(epoch_of(created)))
    environment = {**os.environ, "MTOOLSRC": "/dev/null", "SOURCE_DATE_EPOCH": epoch, "TZ": "UTC"}
    return output(*words, env=environment, deadline=DEADLINE, package="mtools", name=f"{FILE} of the card: {words[0]}")


def epoch_of(created: str) -> float:
    """Seconds since 1970 of the manifest's ISO time; 1980, the beginning of FAT, without one."""
    try:
        return datetime.fromisoformat(created.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 315532800.0
