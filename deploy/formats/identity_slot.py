"""boardllama.txt of an image without a FAT: a file of the root file system, changed by writing over its bytes.

`make image` puts the file there with its full size, and notes where its bytes lie on the disk. So `make flash` needs no
program that writes to ext4, and nothing else of the file system changes: no block is given out, and no checksum is of
these bytes.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from deploy.errors import BoardllamaError
from deploy.formats.spans import IO_BLOCK, Span
from deploy.onboard.identity.boardllama_txt import FILE

SLOT_BYTES = 16 << 10  # some 20 keys of RSA, and four blocks, which a fresh file system gives out in one piece
CHUNK = 4 << 20


def slot_content(text: str) -> bytes:
    """The file with that text, filled up with empty lines. Raises BoardllamaError for a text that is too long."""
    content = text.encode()
    if len(content) > SLOT_BYTES:
        rule = f"this image has room for {SLOT_BYTES}"
        raise BoardllamaError(f"{FILE} has {len(content)} bytes and {rule}: name fewer keys")
    return content.ljust(SLOT_BYTES, b"\n")


def find_slot(disk: Path, within: Span, content: bytes) -> Span:
    """Where the content lies on the disk, in one piece. Raises BoardllamaError unless it lies there exactly once."""
    found = [place for place in block_offsets(disk, within, content[:IO_BLOCK]) if has_content(disk, place, content)]
    if len(found) != 1:
        raise BoardllamaError(f"{FILE} lies {len(found)} times in one piece in the root of the image: it must be once")
    return Span(found[0], found[0] + len(content))


def block_offsets(disk: Path, within: Span, beginning: bytes) -> Iterator[int]:
    """The offset of each block of the disk that is equal to `beginning`. Holes are not read."""
    with disk.open("rb") as file:
        for span in data_spans(file.fileno(), within):
            for chunk in span.split(CHUNK):
                file.seek(chunk.start)
                data = file.read(chunk.size)
                yield from (
                    chunk.start + at for at in range(0, len(data), IO_BLOCK) if data[at : at + IO_BLOCK] == beginning
                )


def data_spans(descriptor: int, within: Span) -> Iterator[Span]:
    """The parts of a sparse file that are no holes, in whole blocks of the span."""
    place = within.start
    while place < within.end:
        try:
            start = os.lseek(descriptor, place, os.SEEK_DATA)
        except OSError:  # ENXIO: only a hole is left
            return
        end = min(os.lseek(descriptor, start, os.SEEK_HOLE), within.end)
        begin = within.start + (start - within.start) // IO_BLOCK * IO_BLOCK
        if begin < end:
            yield Span(begin, end)
        place = max(end, place + 1)


def has_content(disk: Path, offset: int, content: bytes) -> bool:
    with disk.open("rb") as file:
        file.seek(offset)
        return file.read(len(content)) == content
