"""Which blocks of a disk image matter.

bmaptool is not asked, because bmaptool maps what the controller's file system has allocated. Here a block is mapped
when it is not all zeros, so the same image has the same map everywhere. What is not mapped must read as zeros on the
card.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from deploy.formats.block_map import BLOCK, BlockMap, MappedRange
from deploy.formats.spans import Span

ZEROS = bytes(BLOCK)
CHUNK = 256 * BLOCK


def map_disk(image: Path) -> tuple[BlockMap, str]:
    """The block map of a disk image, and the SHA-256 of the whole image. Reads the image once."""
    whole, ranges = hashlib.sha256(), list[MappedRange]()
    span, part = Span(0, 0), hashlib.sha256()
    for offset, content in nonzero_blocks(image, whole.update):
        if offset != span.end:
            if span.size:
                ranges.append(MappedRange(span, part.hexdigest()))
            span, part = Span(offset, offset), hashlib.sha256()
        part.update(content)
        span = Span(span.start, offset + len(content))
    if span.size:
        ranges.append(MappedRange(span, part.hexdigest()))
    return BlockMap(image.stat().st_size, tuple(ranges)), whole.hexdigest()


def nonzero_blocks(image: Path, seen: Callable[[bytes], None]) -> Iterator[tuple[int, bytes]]:
    """Each block that is not all zeros, with its offset in bytes; `seen` is given every byte of the image, in order."""
    zeros, offset = bytes(CHUNK), 0
    with image.open("rb") as file:
        while chunk := file.read(CHUNK):
            seen(chunk)
            if chunk != zeros[: len(chunk)]:
                for start in range(0, len(chunk), BLOCK):
                    content = chunk[start : start + BLOCK]
                    if content != ZEROS[: len(content)]:
                        yield offset + start, content
            offset += CHUNK
