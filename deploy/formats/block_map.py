"""The bmap of an image: which of its blocks hold data, and the sha256 of each range.

The format is that of bmaptool, in version 2.0. A map of an older version is read when its checksums are SHA-256, which
version 1.4 brought.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple
from xml.etree import ElementTree

from pydantic import ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError
from pydantic.alias_generators import to_pascal

from deploy.errors import BoardllamaError, shown
from deploy.formats.spans import IO_BLOCK, Span, merged_spans, remaining_spans
from deploy.formats.values import Frozen, Sha256, first_breach
from deploy.onboard.spelling import printable_text

VERSION, NEWEST = "2.0", 2
BLOCK = 4096  # bytes of a block in the maps that are written


class RangeElement(Frozen):
    """`<Range chksum="…"> first-last </Range>`: numbers of blocks, both included, or of a single block."""

    chksum: Sha256
    blocks: str = Field(pattern=r"^\d+(-\d+)?$")

    def span(self, block: int, size: int) -> Span:
        """The bytes of the range, in an image of `size` bytes whose last block may be shorter than the others."""
        first, _, last = self.blocks.partition("-")
        return Span(int(first) * block, min((int(last or first) + 1) * block, size))


class BmapFile(Frozen):
    """The elements of the file, by the names that they have there."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True)

    version: str = Field(VERSION, alias="version")
    image_size: PositiveInt
    block_size: PositiveInt
    blocks_count: NonNegativeInt | None = None
    mapped_blocks_count: NonNegativeInt | None = None
    checksum_type: Literal["sha256"]
    bmap_file_checksum: str | None = None
    ranges: tuple[RangeElement, ...] = Field(alias="BlockMap", min_length=1)


class MappedRange(NamedTuple):
    """Bytes of the image that hold data, with their sha256 in hexadecimal. The last range ends where the image does."""

    span: Span
    sha256: str


@dataclass(frozen=True)
class BlockMap:
    """The mapped ranges of an image of `size` bytes, in order."""

    size: int
    ranges: tuple[MappedRange, ...]

    @cached_property
    def mapped_spans(self) -> list[Span]:
        """The bytes that hold data, in order; neighbours are joined."""
        return merged_spans(mapped.span for mapped in self.ranges)

    @cached_property
    def hole_spans(self) -> list[Span]:
        """The bytes that must read as zero, in order."""
        return remaining_spans([Span(0, self.size)], self.mapped_spans)

    def render(self) -> bytes:
        """The content of a .bmap file, in blocks of BLOCK bytes.

        Its checksum of itself is computed with zeros in the checksum's place, as the format wants.
        """
        counts = [blocks_touched(mapped.span) for mapped in self.ranges]
        rows = "\n".join(
            f'        <Range chksum="{mapped.sha256}"> {block_numbers(mapped.span)} </Range>' for mapped in self.ranges
        )
        text = (
            f'<?xml version="1.0" ?>\n<bmap version="{VERSION}">\n'
            f"    <ImageSize> {self.size} </ImageSize>\n    <BlockSize> {BLOCK} </BlockSize>\n"
            f"    <BlocksCount> {blocks_touched(Span(0, self.size))} </BlocksCount>\n"
            f"    <MappedBlocksCount> {sum(counts)} </MappedBlocksCount>\n"
            "    <ChecksumType> sha256 </ChecksumType>\n"
            f"    <BmapFileChecksum> {'0' * 64} </BmapFileChecksum>\n"
            f"    <BlockMap>\n{rows}\n    </BlockMap>\n</bmap>\n"
        )
        return text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest(), 1).encode()

    @staticmethod
    def parse(content: bytes) -> "BlockMap":
        """Reads the content of a .bmap file. Raises BoardllamaError for content that no bmap tool writes."""
        try:
            file = BmapFile.model_validate(file_elements(content))
            ranges = [MappedRange(row.span(file.block_size, file.image_size), row.chksum) for row in file.ranges]
        except ValidationError as error:
            raise unreadable(first_breach(error)) from None
        except (ElementTree.ParseError, LookupError, ValueError) as error:  # LookupError: of an unknown encoding
            raise unreadable(str(error)) from None
        check_ranges(ranges, file.block_size)
        return BlockMap(file.image_size, tuple(ranges))


def blocks_touched(span: Span) -> int:
    """How many blocks of BLOCK bytes the span touches; it begins with a block."""
    return -(-span.size // BLOCK)


def block_numbers(span: Span) -> str:
    """The numbers of the blocks, as the format writes them: 3 or 3-7."""
    first, last = span.start // BLOCK, span.start // BLOCK + blocks_touched(span) - 1
    return str(first) if first == last else f"{first}-{last}"


def file_elements(content: bytes) -> dict[str, object]:
    """What BmapFile is made from: text by the name of its element, and a row for each Range.

    Raises ElementTree.ParseError; BoardllamaError for a version after NEWEST; ValueError for one that is no number.
    """
    root = ElementTree.fromstring(content)
    version = root.get("version", VERSION)
    if int(version.partition(".")[0]) > NEWEST:
        raise BoardllamaError(f"the block map has version {shown(version)}, this boardllama reads {NEWEST}: update it")
    ranges = [{"chksum": node.get("chksum"), "blocks": element_text(node)} for node in root.iter("Range")]
    return {**{node.tag: element_text(node) for node in root}, "version": version, "BlockMap": ranges}


def element_text(node: ElementTree.Element) -> str:
    """The text of an element, without the blanks around the text."""
    return (node.text or "").strip()


def check_ranges(ranges: list[MappedRange], block: int) -> None:
    """Raises BoardllamaError unless the ranges are in order and apart, in blocks of a multiple of IO_BLOCK bytes."""
    if block % IO_BLOCK:
        raise BoardllamaError(f"the block map counts in blocks of {block} bytes: it must be a multiple of {IO_BLOCK}")
    end = 0
    for mapped in ranges:
        if mapped.span.start < end or mapped.span.size <= 0:
            raise BoardllamaError(
                f"the block map has a range at byte {mapped.span.start} out of order: get the image again"
            )
        end = mapped.span.end


def unreadable(why: str) -> BoardllamaError:
    """The error for a file that is no block map."""
    return BoardllamaError(f"the block map cannot be read ({printable_text(why)}): get the image again")
