"""One card from an image: probe, clear, write, read everything back, and only then let it boot."""

import threading
from collections.abc import Sequence
from contextlib import closing, suppress

from deploy.errors import BoardllamaError
from deploy.flash.archive import Archive
from deploy.flash.card import Card, CardError, Interrupted
from deploy.flash.difference import differing, holds_earlier
from deploy.flash.erasure import clear, forgets, is_zero, unboot
from deploy.flash.layout import Kept, Layout, at
from deploy.flash.probe import Probe
from deploy.flash.progress import Progress
from deploy.flash.readback import read_back
from deploy.flash.spans import BLOCK, Span, aligned, inside, total
from deploy.flash.stream import PIECE, buffer, pieces

GAP = 32 << 10  # bytes of a hole that are written as zero where that joins two writes
Change = tuple[Span, bytes]


def flash(
    card: Card, archive: Archive, changes: Sequence[Change], progress: Progress, everything: bool = False
) -> bool:
    """Makes the card hold the image, with some blocks of it changed. True when only what differed was written.

    Raises CardError, Interrupted, that say whether the card may boot then; a next run goes on.
    """
    try:
        return flashed(card, archive, changes, progress, everything)
    except Interrupted:
        raise Interrupted(fate(card)) from None
    except (BoardllamaError, OSError) as error:
        raise CardError(f"{error}. {fate(card)}") from error


def fate(card: Card) -> str:
    """What a board would do with it. A worn card may have lost since that it was cleared: it is asked once more."""
    first = buffer(BLOCK)
    with suppress(BoardllamaError, OSError, Interrupted):
        card.read(first, 0)
        card.boots = card.boots or not is_zero(first)
    if not card.boots:
        return f"{card.name} does not boot now"
    return f"{card.name} may still boot what was on it, or what is not proven; do not use it before a PASS"


def flashed(card: Card, archive: Archive, changes: Sequence[Change], progress: Progress, everything: bool) -> bool:
    """The same. Raises CardError, Interrupted, BoardllamaError, OSError, with their causes alone."""
    layout = Layout.of(archive, card.size)
    progress.begin("looking at what it holds")
    compare = not everything and holds_earlier(card, archive)
    probe = Probe(card, progress)
    try:
        unboot(card, layout)
    except CardError:
        probe.run()  # may know why: a fake has no end
        raise
    probe.run()
    clear(card, layout, aligned(Span(0, archive.manifest.disk_size)).end, progress)
    kept = write(card, archive, layout, compare, progress)
    progress.begin("waiting for the card to have written all of it")
    card.sync()
    read_back(card, archive, layout, kept, progress)
    finish_or_unboot(card, layout, [*changes, *ordered(kept, layout)], progress)
    return compare


def write(card: Card, archive: Archive, layout: Layout, compare: bool, progress: Progress) -> Kept:
    """The mapped blocks but the late ones, which are returned."""
    kept = Kept([aligned(span) for span in layout.late])
    progress.begin("comparing" if compare else "writing", total(layout.mapped))
    found = buffer()
    with closing(pieces(archive, lambda span: bool(inside(layout.mapped, span)) or kept.wants(span))) as stream:
        for piece in stream:
            kept.take(Span(piece.span.start, piece.span.start + len(piece.data)), piece.data)
            for span in layout.writes(piece.span, 0 if compare else GAP):
                data = at(piece.data, piece.span, span)
                if compare:
                    card.read(found[: span.size], span.start)
                parts = differing(span, data, found[: span.size]) if compare else [span]
                for part in parts:
                    card.write(at(data, span, part), part.start)
            progress.add(total(inside(layout.mapped, piece.span)))
    return kept


def ordered(kept: Kept, layout: Layout) -> list[Change]:
    """The boot sectors from the last to the first; the very first block, without which nothing is found, comes last."""
    return [(step, kept.read(step)) for span in reversed(layout.late) for step in reversed(list(span.steps(PIECE)))]


def finish_or_unboot(card: Card, layout: Layout, changes: Sequence[Change], progress: Progress) -> None:
    """A card that is not proven to its end does not boot, whatever went wrong. Raises what went wrong."""
    try:
        finish(card, changes, progress)
    except BaseException:
        with suppress(BoardllamaError, OSError):  # its fate tells of it
            unboot(card, layout)
        raise


def finish(card: Card, changes: Sequence[Change], progress: Progress) -> None:
    """Writes these blocks in order, the last one after all others rest, and reads them back. Raises CardError.

    From here on it is seconds, and Ctrl-C is not heard: a card that may boot is proven, or made not to.
    """
    card.stop, card.boots = threading.Event(), True
    progress.begin("making it boot", 2 * sum(span.size for span, _ in changes))
    for number, (span, content) in enumerate(changes, 1):
        if number == len(changes):
            card.sync()
        part = card.clipped(span)
        view = buffer(span.size)
        view[:] = content
        card.write(view[: part.size], part.start)
        progress.add(span.size)
    card.sync()
    check(card, changes, progress)


def check(card: Card, changes: Sequence[Change], progress: Progress) -> None:
    """Raises CardError unless the card holds the blocks."""
    for span, content in changes:
        part = card.clipped(span)
        view = buffer(span.size)
        card.read(view[: part.size], part.start)
        if view[: part.size] != content[: part.size]:
            raise forgets(card)
        progress.add(span.size)
