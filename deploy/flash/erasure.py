"""What is made zero on a card: first all that it could boot from, later the holes of the image."""

from deploy.flash.card import Card, CardError
from deploy.flash.difference import differing_spans
from deploy.flash.layout import CardLayout
from deploy.flash.progress import CardProgress
from deploy.flash.stream import PIECE_SIZE, page_buffer
from deploy.formats.spans import Span, total_size

ZERO = bytes(PIECE_SIZE)


def erase_boot_data(card: Card, layout: CardLayout) -> None:
    """Erases everything by which the card could boot, before anything else is written. Raises CardError, Interrupted.

    CardError also says that the zeros do not stay: a worn card may take every write, and hold what it held.
    """
    parts = [part for span in layout.foreign for part in span.split(PIECE_SIZE)]
    zeros, found = page_buffer(), page_buffer()
    for part in parts:
        card.write(zeros[: part.size], part.start)
    card.sync()
    for part in parts:
        card.read(found[: part.size], part.start)
        if not is_zero(found[: part.size]):
            raise boot_sectors_error(card)
    card.may_boot = False


def boot_sectors_error(card: Card) -> CardError:
    return CardError(f"{card.name} does not keep its boot sectors. It is worn: use another")


def clear_holes(card: Card, layout: CardLayout, image_end: int, progress: CardProgress) -> None:
    """Makes the holes zero, and tells the card that what lies behind byte `image_end` is not needed.

    Where the kernel does not vouch for zeros, holes are read, and written where they are not zero: cards read several
    times faster than they write, and most of a new card is zero. Raises CardError, Interrupted.
    """
    progress.begin("clearing", total_size(layout.holes))
    card.discard(Span(image_end, card.end_of_blocks), lambda: progress.add(0))
    reads, zeros = page_buffer(), page_buffer()
    vouched = True
    for hole in layout.holes:
        vouched = vouched and card.punch(hole)
        if vouched:
            progress.add(hole.size)
            continue
        for part in hole.split(PIECE_SIZE):
            card.read(reads[: part.size], part.start)
            for found in differing_spans(part, zeros[: part.size], reads[: part.size]):
                card.write(zeros[: found.size], found.start)
            progress.add(part.size)


def is_zero(view: memoryview) -> bool:
    """True when every byte of the view, which has at most PIECE_SIZE bytes, is zero."""
    return view.tobytes() == ZERO[: len(view)]
