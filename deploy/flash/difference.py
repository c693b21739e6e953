"""A card that holds an earlier version gets only the blocks that differ. They are found by reading the card."""

import hashlib

from deploy.flash.archive import Archive
from deploy.flash.card import Card, CardError
from deploy.flash.layout import FOREIGN
from deploy.flash.stream import page_buffer
from deploy.formats.block_map import MappedRange
from deploy.formats.spans import IO_BLOCK, Span, aligned_span, merged_spans, part_view

SAMPLES = 32
SAMPLE_SIZE = 1 << 20  # bytes of the largest range that is read as a sample
BLOCK_GAP = 4 * IO_BLOCK  # bytes between two blocks that differ: one larger write is quicker than two


def has_earlier_image(card: Card, archive: Archive) -> bool:
    """True when a quarter of the samples, small ranges from all over the image, is on the card already.

    The bytes of the card decide, and not its partition table: an interrupted run goes on by this, too.
    """
    found = sample_ranges(archive.blocks.ranges)
    view = page_buffer(SAMPLE_SIZE)
    try:
        equal = sum(has_range(card, sample, view) for sample in found)
    except CardError:
        return False  # the probe comes next, and says what is wrong with the card
    return bool(found) and equal * 4 >= len(found)


def sample_ranges(ranges: tuple[MappedRange, ...]) -> list[MappedRange]:
    """Up to SAMPLES ranges, evenly chosen from those that are small and not at the beginning."""
    small = [one for one in ranges if one.span.size <= SAMPLE_SIZE and one.span.start >= FOREIGN]
    step = max(1, len(small) // SAMPLES)
    return small[::step][:SAMPLES]


def has_range(card: Card, wanted: MappedRange, view: memoryview) -> bool:
    """True when the card holds the bytes of the range. `view` is memory to read them into."""
    whole = card.clip(aligned_span(wanted.span))
    card.read(view[: whole.size], whole.start)
    return hashlib.sha256(view[: wanted.span.size]).hexdigest() == wanted.sha256


def differing_spans(span: Span, wanted: memoryview, found: memoryview) -> list[Span]:
    """The blocks of the span in which the bytes that were found are not the wanted bytes.

    The span begins at a block. Blocks that lie at most BLOCK_GAP apart come as one span.
    """
    if wanted.tobytes() == found.tobytes():
        return []
    # As bytes: to compare two memoryviews of a block takes 50 times as long.
    views = ((block, part_view(wanted, span, block), part_view(found, span, block)) for block in span.split(IO_BLOCK))
    return merged_spans((block for block, new, old in views if new.tobytes() != old.tobytes()), BLOCK_GAP)
