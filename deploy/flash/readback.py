"""Everything that was written is read again from the card itself, and compared with what was signed."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from deploy.flash.archive import Archive
from deploy.flash.block_map import MappedRange
from deploy.flash.card import Card, CardError
from deploy.flash.display_text import size_text
from deploy.flash.erasure import is_zero
from deploy.flash.layout import CardLayout, Kept
from deploy.flash.progress import CardProgress
from deploy.flash.spans import Span, aligned_span, total_size
from deploy.flash.stream import PIECE, page_buffer

Check = Callable[[memoryview], None]
CHECKS_AT_ONCE = 2  # one reads while the other one hashes


def read_back_card(card: Card, archive: Archive, layout: CardLayout, kept: Kept, progress: CardProgress) -> None:
    """Compares mapped ranges by their sha256, and holes with zero. Raises CardError.

    The boot sectors are not there yet: their bytes, as they came out of the image, stand in for them in the hash.
    """
    mapped = total_size(aligned_span(one.span) for one in archive.blocks.ranges)
    progress.begin("reading back", mapped + total_size(layout.holes))
    work: list[tuple[int, Check]] = [
        *((one.span.start, partial(check_range, card, one, kept, progress)) for one in archive.blocks.ranges),
        *((hole.start, partial(check_hole, card, hole, progress)) for hole in layout.holes),
    ]
    checks = iter([check for _, check in sorted(work, key=lambda one: one[0])])
    with ThreadPoolExecutor(CHECKS_AT_ONCE) as pool:
        running = [pool.submit(run_checks, checks) for _ in range(CHECKS_AT_ONCE)]
        try:
            for future in running:
                future.result()
        finally:
            deque(checks, maxlen=0)  # after a failure the other one has nothing more to do


def run_checks(checks: Iterator[Check]) -> None:
    """Runs checks until none is left."""
    view = page_buffer()
    for check in checks:
        check(view)


def check_range(card: Card, one: MappedRange, kept: Kept, progress: CardProgress, view: memoryview) -> None:
    """Raises CardError when the range does not read as it was signed."""
    digest = hashlib.sha256()
    for step in aligned_span(one.span).split(PIECE):
        card_part = card.clip(step)
        card.read(view[: card_part.size], card_part.start)
        kept.put(step, view)
        digest.update(view[: step.overlap_with(one.span).size])
        progress.add(step.size)
    if digest.hexdigest() != one.sha256:
        raise difference_error(card, one.span)


def check_hole(card: Card, hole: Span, progress: CardProgress, view: memoryview) -> None:
    """Raises CardError when the hole does not read as zero."""
    for step in hole.split(PIECE):
        card.read(view[: step.size], step.start)
        if not is_zero(view[: step.size]):
            raise difference_error(card, step)
        progress.add(step.size)


def difference_error(card: Card, span: Span) -> CardError:
    """In words."""
    return CardError(
        f"{card.name} does not keep what is written to it: what was read back between {size_text(span.start)} and "
        f"{size_text(span.end)} is not what was written. The card is worn, broken or a fake: use another"
    )
