"""One card from an image: probe, clear, write, read everything back, and only then let the card boot."""

import threading
from collections.abc import Sequence
from contextlib import closing, suppress

from deploy.errors import BoardllamaError
from deploy.flash.archive import Archive
from deploy.flash.card import Card, CardError, Interrupted
from deploy.flash.difference import differing_spans, has_earlier_image
from deploy.flash.erasure import boot_sectors_error, clear_holes, erase_boot_data, is_zero
from deploy.flash.layout import CardLayout, Kept
from deploy.flash.probe import Probe
from deploy.flash.progress import CardProgress
from deploy.flash.readback import read_back_card
from deploy.flash.stream import PIECE_SIZE, image_pieces, page_buffer
from deploy.formats.spans import IO_BLOCK, Span, aligned_span, merged_spans, part_view, spans_inside, total_size

HOLE_GAP = 32 << 10  # bytes of a hole that are written as zero where that joins two writes
Change = tuple[Span, bytes]


def flash_card(
    card: Card, archive: Archive, changes: Sequence[Change], progress: CardProgress, everything: bool = False
) -> bool:
    """Makes the card hold the image with `changes` in it. True when only the blocks that differed were written.

    Raises CardError and Interrupted, which say whether the card may boot now. Another run goes on from there.
    """
    try:
        return run_phases(card, archive, changes, progress, everything)
    except Interrupted:
        raise Interrupted(card_fate(card)) from None
    except (BoardllamaError, OSError) as error:
        raise CardError(f"{error}. {card_fate(card)}") from error


def card_fate(card: Card) -> str:
    """A sentence about what a board would do with the card now.

    The first block is read once more: a worn card may have lost the zeros that were read back from it before.
    """
    first = page_buffer(IO_BLOCK)
    with suppress(BoardllamaError, OSError, Interrupted):
        card.read(first, 0)
        card.may_boot = card.may_boot or not is_zero(first)
    if not card.may_boot:
        return f"{card.name} does not boot now"
    return f"{card.name} may still boot what was on it, or what is not proven; do not use it before a PASS"


def run_phases(
    card: Card, archive: Archive, changes: Sequence[Change], progress: CardProgress, everything: bool
) -> bool:
    """Does all that flash_card does, in order, and returns the same.

    Raises CardError, Interrupted, BoardllamaError and OSError, which tell their cause and not the fate of the card.
    """
    layout = CardLayout.for_card(archive, card.size)
    progress.begin("looking at what it holds")
    compare = not everything and has_earlier_image(card, archive)
    probe = Probe(card, progress)
    try:
        erase_boot_data(card, layout)
    except CardError:
        probe.run()  # it may know why: a fake card has no end that could be erased
        raise
    probe.run()
    clear_holes(card, layout, aligned_span(Span(0, archive.manifest.disk.size)).end, progress)
    kept = write_mapped(card, archive, layout, compare, progress)
    progress.begin("waiting for the card to have written all of it")
    card.sync()
    read_back_card(card, archive, layout, kept, progress)
    finish_or_erase(card, layout, [*changes, *boot_changes(kept, layout)], progress)
    return compare


def write_mapped(card: Card, archive: Archive, layout: CardLayout, compare: bool, progress: CardProgress) -> Kept:
    """Writes the mapped blocks, and returns the late blocks, which it keeps for the end.

    With `compare` it writes only blocks that differ from the card's. Raises CardError, Interrupted, BoardllamaError.
    """
    kept = Kept(layout.late)
    progress.begin("comparing" if compare else "writing", total_size(layout.mapped))
    found = page_buffer()
    with closing(image_pieces(archive, merged_spans([*layout.mapped, *layout.late]))) as stream:
        for piece in stream:
            kept.take(Span(piece.span.start, piece.span.start + len(piece.data)), piece.data)
            for span in layout.write_spans(piece.span, 0 if compare else HOLE_GAP):
                data = part_view(piece.data, piece.span, span)
                if compare:
                    card.read(found[: span.size], span.start)
                parts = differing_spans(span, data, found[: span.size]) if compare else [span]
                for part in parts:
                    card.write(part_view(data, span, part), part.start)
            progress.add(total_size(spans_inside(layout.mapped, piece.span)))
    return kept


def boot_changes(kept: Kept, layout: CardLayout) -> list[Change]:
    """The late blocks from the last one to the first. Without the very first block a board finds nothing."""
    return [
        (step, kept.read(step)) for span in reversed(layout.late) for step in reversed(list(span.split(PIECE_SIZE)))
    ]


def finish_or_erase(card: Card, layout: CardLayout, changes: Sequence[Change], progress: CardProgress) -> None:
    """Finishes the card. When anything goes wrong, its boot data is erased again: an unproven card must not boot.

    Raises what went wrong.
    """
    try:
        finish_card(card, changes, progress)
    except BaseException:
        with suppress(BoardllamaError, OSError):  # card_fate tells of a card that still boots
            erase_boot_data(card, layout)
        raise


def finish_card(card: Card, changes: Sequence[Change], progress: CardProgress) -> None:
    """Writes the blocks in order, the last one when all others are at rest, and reads them back. Raises CardError.

    Ctrl-C is not heard during these seconds: a card that may boot is proven, or made not to boot.
    """
    card.stop, card.may_boot = threading.Event(), True
    progress.begin("making it boot", 2 * total_size(span for span, _ in changes))
    for number, (span, content) in enumerate(changes, 1):
        if number == len(changes):
            card.sync()
        part = card.clip(span)
        view = page_buffer(span.size)
        view[:] = content
        card.write(view[: part.size], part.start)
        progress.add(span.size)
    card.sync()
    check_changes(card, changes, progress)


def check_changes(card: Card, changes: Sequence[Change], progress: CardProgress) -> None:
    """Raises CardError unless the card holds the blocks."""
    for span, content in changes:
        part = card.clip(span)
        view = page_buffer(span.size)
        card.read(view[: part.size], part.start)
        if view[: part.size] != content[: part.size]:
            raise boot_sectors_error(card)
        progress.add(span.size)
