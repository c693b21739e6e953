"""Everything that was written is read again from the card itself, and compared with what was signed."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from deploy.flash.archive import Archive
from deploy.flash.card import Card, CardError
from deploy.flash.display_text import size_text
from deploy.flash.erasure import is_zero
from deploy.flash.layout import CardLayout, Kept
from deploy.flash.progress import CardProgress
from deploy.flash.stream import PIECE_SIZE, page_buffer
from deploy.formats.block_map import MappedRange
from deploy.formats.spans import Span, aligned_span, total_size

Check = Callable[[memoryview], None]
CHECKS_AT_ONCE = 2  # threads: one reads while the other hashes


def read_back_card(card: Card, archive: Archive, layout: CardLayout, kept: Kept, progress: CardProgress) -> None:
    """Compares mapped ranges by their sha256, and holes with zero. Raises CardError, Interrupted.

    The boot sectors are not on the card yet: their bytes in `kept`, as the image has them, are hashed in their place.
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
            deque(checks, maxlen=0)  # after a failure the other thread has nothing more to do


def run_checks(checks: Iterator[Check]) -> None:
    """Runs checks until none is left. Several threads take theirs from the same iterator."""
    view = page_buffer()
    for check in checks:
        check(view)


def check_range(card: Card, wanted: MappedRange, kept: Kept, progress: CardProgress, view: memoryview) -> None:
    """Raises CardError when the range does not read as it was signed. `view` is memory of PIECE_SIZE bytes."""
    digest = hashlib.sha256()
    for step in aligned_span(wanted.span).split(PIECE_SIZE):
        card_part = card.clip(step)
        card.read(view[: card_part.size], card_part.start)
        kept.put(step, view)
        digest.update(view[: step.overlap_with(wanted.span).size])
        progress.add(step.size)
    if digest.hexdigest() != wanted.sha256:
        raise difference_error(card, wanted.span)


def check_hole(card: Card, hole: Span, progress: CardProgress, view: memoryview) -> None:
    """Raises CardError when the hole does not read as zero. `view` is memory of PIECE_SIZE bytes."""
    for step in hole.split(PIECE_SIZE):
        card.read(view[: step.size], step.start)
        if not is_zero(view[: step.size]):
            raise difference_error(card, step)
        progress.add(step.size)


def difference_error(card: Card, span: Span) -> CardError:
    return CardError(
        f"{card.name} does not keep what is written to it: what was read back between {size_text(span.start)} and "
        f"{size_text(span.end)} is not what was written. The card is worn, broken or a fake: use another"
    )
