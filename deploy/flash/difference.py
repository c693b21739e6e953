"""A card that holds an earlier version gets only the blocks that differ, found by reading it."""

import hashlib

from deploy.flash.archive import Archive
from deploy.flash.block_map import Range
from deploy.flash.card import Card, CardError
from deploy.flash.layout import FOREIGN
from deploy.flash.spans import BLOCK, Span, aligned, merged
from deploy.flash.stream import buffer

SAMPLES = 32
SAMPLE_SIZE = 1 << 20  # bytes of the largest range that is read as a sample
GAP = 4 * BLOCK  # between two blocks that differ: one larger write is quicker than two


def holds_earlier(card: Card, archive: Archive) -> bool:
    """True when at least a quarter of some small ranges, spread over the image, is on the card already.

    It asks the card and not its partition table: an interrupted run goes on by this, too.
    """
    found = samples(archive.blocks.ranges)
    view = buffer(SAMPLE_SIZE)
    try:
        equal = sum(is_there(card, one, view) for one in found)
    except CardError:
        return False  # the probe says what is wrong with it
    return bool(found) and equal * 4 >= len(found)


def samples(ranges: tuple[Range, ...]) -> list[Range]:
    """Up to SAMPLES ranges, evenly chosen from those that are small and not at the beginning."""
    small = [one for one in ranges if one.span.size <= SAMPLE_SIZE and one.span.start >= FOREIGN]
    step = max(1, len(small) // SAMPLES)
    return small[::step][:SAMPLES]


def is_there(card: Card, one: Range, view: memoryview) -> bool:
    """True when the card holds the range's bytes."""
    whole = card.clipped(aligned(one.span))
    card.read(view[: whole.size], whole.start)
    return hashlib.sha256(view[: one.span.size]).hexdigest() == one.sha256


def differing(span: Span, wanted: memoryview, found: memoryview) -> list[Span]:
    """The blocks of the span, which begins at a block, whose bytes are not those that are wanted."""
    if wanted.tobytes() == found.tobytes():
        return []
    blocks = (Span(start, min(start + BLOCK, span.end)) for start in range(span.start, span.end, BLOCK))
    return merged((one for one in blocks if part(one, span, wanted) != part(one, span, found)), GAP)


def part(block: Span, span: Span, data: memoryview) -> bytes:
    """A block's bytes."""
    return data[block.start - span.start : block.end - span.start].tobytes()
