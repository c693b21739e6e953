"""The holes of an image: they must read as zero, whatever the card held before."""

from deploy.flash.card import Card, CardError
from deploy.flash.difference import differing
from deploy.flash.layout import Layout
from deploy.flash.progress import Progress
from deploy.flash.spans import Span, total
from deploy.flash.stream import PIECE, buffer

ZERO = bytes(PIECE)


def unboot(card: Card, layout: Layout) -> None:
    """Takes away everything by which the card could boot, for good, before anything else is written.

    Raises CardError, also when what is written does not stay: a worn card may take all, and hold what it held.
    """
    parts = [part for span in layout.foreign for part in span.steps(PIECE)]
    zeros, found = buffer(), buffer()
    for part in parts:
        card.write(zeros[: part.size], part.start)
    card.sync()
    for part in parts:
        card.read(found[: part.size], part.start)
        if not is_zero(found[: part.size]):
            raise forgets(card)
    card.boots = False


def forgets(card: Card) -> CardError:
    """In words."""
    return CardError(f"{card.name} does not keep its boot sectors. It is worn: use another")


def clear(card: Card, layout: Layout, image_end: int, progress: Progress) -> None:
    """Makes the holes zero, and tells the card that what lies behind the image is not needed.

    Where the kernel cannot vouch for zeros, holes are read, and written where they are not zero: cards read several
    times faster than they write, and most of a new card is zero.
    """
    progress.begin("clearing", total(layout.holes))
    card.discard(Span(image_end, card.end_of_blocks), lambda: progress.add(0))
    reads, zeros = buffer(), buffer()
    vouched = True
    for hole in layout.holes:
        vouched = vouched and card.punch(hole)
        if vouched:
            progress.add(hole.size)
            continue
        for part in hole.steps(PIECE):
            card.read(reads[: part.size], part.start)
            for found in differing(part, zeros[: part.size], reads[: part.size]):
                card.write(zeros[: found.size], found.start)
            progress.add(part.size)


def is_zero(view: memoryview) -> bool:
    """True when every byte is; at most PIECE of them."""
    return view.tobytes() == ZERO[: len(view)]
