"""Byte ranges of a disk, and the arithmetic that decides what is written when."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

IO_BLOCK = 4096  # bytes: reads and writes begin and end at multiples of this, or at the end of an odd disk


class Span(NamedTuple):
    """From `start` up to but not including `end`, in bytes."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start

    def overlap_with(self, other: "Span") -> "Span":
        """The part that lies in the other span, too; its size is 0 or less when there is none."""
        return Span(max(self.start, other.start), min(self.end, other.end))

    def split(self, size: int) -> Iterator["Span"]:
        """The span in pieces that end at multiples of `size`."""
        start = self.start
        while start < self.end:
            end = min(self.end, (start // size + 1) * size)
            yield Span(start, end)
            start = end


def aligned_span(span: Span, block: int = IO_BLOCK) -> Span:
    """The whole blocks that the span touches."""
    return Span(span.start // block * block, -(-span.end // block) * block)


def merged_spans(spans: Iterable[Span], gap: int = 0) -> list[Span]:
    """The spans in order and without overlaps. Spans that are at most `gap` bytes apart become one."""
    found: list[Span] = []
    for span in sorted(spans):
        if span.size <= 0:
            continue
        if found and span.start <= found[-1].end + gap:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def remaining_spans(spans: Iterable[Span], removed: Iterable[Span]) -> list[Span]:
    """What is left of the spans. Both arguments are in order and without overlaps."""
    holes = list(removed)
    left: list[Span] = []
    for span in spans:
        start = span.start
        for hole in holes:
            if hole.end <= start or hole.start >= span.end:
                continue
            if hole.start > start:
                left.append(Span(start, hole.start))
            start = hole.end
        if start < span.end:
            left.append(Span(start, span.end))
    return left


def spans_inside(spans: Sequence[Span], window: Span) -> list[Span]:
    """The parts of the spans, in order and without overlaps, that lie in the window."""
    found = []
    for span in spans[bisect_right(spans, window.start, key=lambda one: one.end) :]:
        if span.start >= window.end:
            break
        found.append(span.overlap_with(window))
    return found


def total_size(spans: Iterable[Span]) -> int:
    """The bytes of all spans together."""
    return sum(span.size for span in spans)


def part_view(data: memoryview, window: Span, part: Span) -> memoryview:
    """A view into `data`, the bytes of the window, at a part of the window."""
    return data[part.start - window.start : part.end - window.start]
