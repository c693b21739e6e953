"""Everything that was written is read again from the card itself, and compared with what was signed."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from deploy.flash.archive import Archive
from deploy.flash.block_map import Range
from deploy.flash.card import Card, CardError
from deploy.flash.display_text import amount
from deploy.flash.erasure import is_zero
from deploy.flash.layout import Kept, Layout
from deploy.flash.progress import Progress
from deploy.flash.spans import Span, aligned, total
from deploy.flash.stream import PIECE, buffer

Check = Callable[[memoryview], None]
AT_ONCE = 2  # one reads while the other one hashes


def read_back(card: Card, archive: Archive, layout: Layout, kept: Kept, progress: Progress) -> None:
    """Compares mapped ranges by their sha256, and holes with zero. Raises CardError.

    The boot sectors are not there yet: their bytes, as they came out of the image, stand in for them in the hash.
    """
    progress.begin("reading back", total(aligned(one.span) for one in archive.blocks.ranges) + total(layout.holes))
    work: list[tuple[int, Check]] = [
        *((one.span.start, partial(check_range, card, one, kept, progress)) for one in archive.blocks.ranges),
        *((hole.start, partial(check_hole, card, hole, progress)) for hole in layout.holes),
    ]
    checks = iter([check for _, check in sorted(work, key=lambda one: one[0])])
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(run, checks) for _ in range(AT_ONCE)]
        try:
            for future in running:
                future.result()
        finally:
            deque(checks, maxlen=0)  # after a failure the other one has nothing more to do


def run(checks: Iterator[Check]) -> None:
    """Runs checks until none is left."""
    view = buffer()
    for check in checks:
        check(view)


def check_range(card: Card, one: Range, kept: Kept, progress: Progress, view: memoryview) -> None:
    """Raises CardError when the range does not read as it was signed."""
    digest = hashlib.sha256()
    for step in aligned(one.span).steps(PIECE):
        card_part = card.clipped(step)
        card.read(view[: card_part.size], card_part.start)
        kept.put(step, view)
        digest.update(view[: step.within(one.span).size])
        progress.add(step.size)
    if digest.hexdigest() != one.sha256:
        raise differs(card, one.span)


def check_hole(card: Card, hole: Span, progress: Progress, view: memoryview) -> None:
    """Raises CardError when the hole does not read as zero."""
    for step in hole.steps(PIECE):
        card.read(view[: step.size], step.start)
        if not is_zero(view[: step.size]):
            raise differs(card, step)
        progress.add(step.size)


def differs(card: Card, span: Span) -> CardError:
    """In words."""
    return CardError(
        f"{card.name} does not keep what is written to it: what was read back between {amount(span.start)} and "
        f"{amount(span.end)} is not what was written. The card is worn, broken or a fake: use another"
    )
