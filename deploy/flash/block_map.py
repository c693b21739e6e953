"""The bmap of an image: which of its blocks hold data, and the sha256 of each range (format 2.0 of bmaptool)."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple
from xml.etree import ElementTree

from deploy.errors import BoardllamaError
from deploy.flash.spans import IO_BLOCK, Span, merged_spans, remaining_spans


class MappedRange(NamedTuple):
    """Mapped bytes of the image; the last range ends where the image does."""

    span: Span
    sha256: str


@dataclass(frozen=True)
class BlockMap:
    """The mapped ranges of an image of `size` bytes, in order."""

    size: int
    ranges: tuple[MappedRange, ...]

    @cached_property
    def mapped_spans(self) -> list[Span]:
        """Where there is data."""
        return merged_spans(one.span for one in self.ranges)

    @cached_property
    def hole_spans(self) -> list[Span]:
        """What must read as zero."""
        return remaining_spans([Span(0, self.size)], self.mapped_spans)

    @staticmethod
    def parse(content: bytes) -> "BlockMap":
        """From the file's bytes. Raises BoardllamaError."""
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
    """Of a child that must be there. Raises KeyError."""
    child = root.find(name)
    if child is None or not child.text:
        raise KeyError(f"no {name}")
    return child.text.strip()


def child_number(root: ElementTree.Element, name: str) -> int:
    """The same as a number. Raises KeyError and ValueError."""
    return int(child_text(root, name))


def parse_range(node: ElementTree.Element, block: int, size: int) -> MappedRange:
    """`<Range chksum="…"> first-last </Range>`, in blocks, both included; or one block alone."""
    first, _, last = (node.text or "").strip().partition("-")
    start, end = int(first) * block, (int(last or first) + 1) * block
    return MappedRange(Span(start, min(end, size)), node.attrib["chksum"])


def check_ranges(ranges: list[MappedRange], block: int) -> None:
    """Raises BoardllamaError for ranges that no tool would write."""
    if block % IO_BLOCK:
        raise BoardllamaError(f"the block map counts in blocks of {block} bytes: it must be a multiple of {IO_BLOCK}")
    end = 0
    for one in ranges:
        if one.span.start < end or one.span.size <= 0:
            raise BoardllamaError(
                f"the block map has a range at byte {one.span.start} out of order: get the image again"
            )
        end = one.span.end
