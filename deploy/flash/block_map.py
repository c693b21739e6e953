"""The bmap of an image: which of its blocks hold data, and the sha256 of each range (format 2.0 of bmaptool)."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple
from xml.etree import ElementTree

from deploy.errors import BoardllamaError
from deploy.flash.spans import IO_BLOCK, Span, merged_spans, remaining_spans


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
        return merged_spans(one.span for one in self.ranges)

    @cached_property
    def hole_spans(self) -> list[Span]:
        """The bytes that must read as zero, in order."""
        return remaining_spans([Span(0, self.size)], self.mapped_spans)

    @staticmethod
    def parse(content: bytes) -> "BlockMap":
        """Reads the content of a .bmap file. Raises BoardllamaError for content that no bmap tool writes."""
        try:
            root = ElementTree.fromstring(content)
            size, block = child_number(root, "ImageSize"), child_number(root, "BlockSize")
            kind = child_text(root, "ChecksumType")
            found = [parse_range(node, block, size) for node in root.iter("Range")]
        except (ElementTree.ParseError, ValueError, KeyError) as error:
            raise BoardllamaError(f"the block map cannot be read ({error}): get the image again") from None
        if kind != "sha256" or not found:
            raise BoardllamaError(f"the block map has {len(found)} ranges with {kind}: it must have some, with sha256")
        check_ranges(found, block)
        return BlockMap(size, tuple(found))


def child_text(root: ElementTree.Element, name: str) -> str:
    """The text of a child element. Raises KeyError when the child is missing or empty."""
    child = root.find(name)
    if child is None or not child.text:
        raise KeyError(f"no {name}")
    return child.text.strip()


def child_number(root: ElementTree.Element, name: str) -> int:
    """The number in a child element. Raises KeyError, ValueError."""
    return int(child_text(root, name))


def parse_range(node: ElementTree.Element, block: int, size: int) -> MappedRange:
    """`<Range chksum="…"> first-last </Range>`: numbers of blocks, both included, or of one block alone.

    Raises KeyError, ValueError.
    """
    first, _, last = (node.text or "").strip().partition("-")
    start, end = int(first) * block, (int(last or first) + 1) * block
    return MappedRange(Span(start, min(end, size)), node.attrib["chksum"])


def check_ranges(ranges: list[MappedRange], block: int) -> None:
    """Raises BoardllamaError unless the ranges are in order and apart, in blocks of a multiple of IO_BLOCK bytes."""
    if block % IO_BLOCK:
        raise BoardllamaError(f"the block map counts in blocks of {block} bytes: it must be a multiple of {IO_BLOCK}")
    end = 0
    for one in ranges:
        if one.span.start < end or one.span.size <= 0:
            raise BoardllamaError(
                f"the block map has a range at byte {one.span.start} out of order: get the image again"
            )
        end = one.span.end
