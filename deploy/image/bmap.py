"""Which blocks of a disk image matter, as a bmap file (format 2.0) that bmaptool and `make flash` read.

bmaptool is not asked to make the file, because bmaptool maps what the controller's file system has allocated. Here a
block is mapped when it is not all zeros, so the same image has the same map everywhere. What is not mapped must read as
zeros on the card.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = 4096
ZEROS = bytes(BLOCK)
CHUNK = 256 * BLOCK


@dataclass(frozen=True)
class BlockRange:
    """Blocks `first` to `last`, both included, and the SHA-256 of their bytes in hexadecimal digits."""

    first: int
    last: int
    sha256: str

    @property
    def block_numbers(self) -> str:
        """The numbers of the blocks, as the format writes them: 3 or 3-7."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True)
class ImageMap:
    """The ranges that matter of an image of `size` bytes; `sha256` is that of the whole image."""

    size: int
    sha256: str
    ranges: tuple[BlockRange, ...]

    @property
    def block_count(self) -> int:
        """How many blocks are mapped."""
        return sum(part.last - part.first + 1 for part in self.ranges)

    @property
    def mapped_bytes(self) -> int:
        # The last block of an image may be shorter than the others.
        return min(self.block_count * BLOCK, self.size)

    def render_xml(self) -> str:
        """The bmap file. Its checksum of itself is computed with zeros in the checksum's place, as the format wants."""
        rows = "\n".join(
            f'        <Range chksum="{part.sha256}"> {part.block_numbers} </Range>' for part in self.ranges
        )
        text = (
            '<?xml version="1.0" ?>\n<bmap version="2.0">\n'
            f"    <ImageSize> {self.size} </ImageSize>\n    <BlockSize> {BLOCK} </BlockSize>\n"
            f"    <BlocksCount> {-(-self.size // BLOCK)} </BlocksCount>\n"
            f"    <MappedBlocksCount> {self.block_count} </MappedBlocksCount>\n"
            "    <ChecksumType> sha256 </ChecksumType>\n"
            f"    <BmapFileChecksum> {'0' * 64} </BmapFileChecksum>\n"
            f"    <BlockMap>\n{rows}\n    </BlockMap>\n</bmap>\n"
        )
        return text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest(), 1)


def map_image(image: Path) -> ImageMap:
    """Reads the whole image once."""
    whole, ranges = hashlib.sha256(), list[BlockRange]()
    first, last, part = 0, -2, hashlib.sha256()
    for block, content in nonzero_blocks(image, whole.update):
        if block != last + 1:
            if last >= 0:
                ranges.append(BlockRange(first, last, part.hexdigest()))
            first, part = block, hashlib.sha256()
        part.update(content)
        last = block
    if last >= 0:
        ranges.append(BlockRange(first, last, part.hexdigest()))
    return ImageMap(image.stat().st_size, whole.hexdigest(), tuple(ranges))


def nonzero_blocks(image: Path, seen: Callable[[bytes], None]) -> Iterator[tuple[int, bytes]]:
    """Each block that is not all zeros, with its number; `seen` is given every byte of the image, in order."""
    zeros, number = bytes(CHUNK), 0
    with image.open("rb") as file:
        while chunk := file.read(CHUNK):
            seen(chunk)
            if chunk != zeros[: len(chunk)]:
                for start in range(0, len(chunk), BLOCK):
                    content = chunk[start : start + BLOCK]
                    if content != ZEROS[: len(content)]:
                        yield number + start // BLOCK, content
            number += CHUNK // BLOCK
