"""Fake and worn cards are found before an image is written to them.

A fake card says that it is large; what is written behind its real end wraps around to its beginning, is dropped, or is
an error. So marks that exist once are written at its end and in between, and read again. Its last part is filled with
them, and one block is read in every stretch of that size below: wherever the card wraps, one of them shows.
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from deploy.flash.card import AGAIN, Card, CardError
from deploy.flash.display_text import amount
from deploy.flash.layout import FOREIGN
from deploy.flash.progress import Progress
from deploy.flash.spans import BLOCK, Span
from deploy.flash.stream import buffer

BETWEEN = 64  # marks from the beginning to the end
STRETCHES = 2048  # the part of the end that is filled, and the stretches that are looked at
SMALLEST = 64 << 10  # bytes of that part
STEP = 1 << 20
AT_ONCE = 4  # reads that wait for the disk
KEY = 16  # bytes at the begin of a mark that are the same in all of them


@dataclass
class Probe:
    """Marks on one card. Raises CardError out of every method when the card cannot be trusted."""

    card: Card
    progress: Progress
    key: bytes = field(default_factory=lambda: os.urandom(KEY))

    def run(self) -> None:
        """Returns when the card keeps what is written to it, where it is written."""
        between = self.between()
        self.progress.begin("looking for the card's real size", (2 * self.stretch + BLOCK * (2 * BETWEEN + STRETCHES)))
        bad = {offset for offset in between if not self.writes(Span(offset, offset + BLOCK))}
        if not self.writes(self.end):
            bad.add(self.end.start)
        self.card.sync()
        if (real := self.wraps()) is not None:
            raise self.fake(real)
        bad |= {offset for offset in [*between, self.end.start] if not self.keeps(offset)}
        if not bad and self.keeps(self.end.end - BLOCK):
            return
        raise self.explained(sorted([*between, self.end.start]), bad)

    @property
    def stretch(self) -> int:
        """Bytes."""
        return max(SMALLEST, self.card.size // STRETCHES // SMALLEST * SMALLEST)

    @property
    def end(self) -> Span:
        """The part that is filled with marks."""
        end = self.card.end_of_blocks
        return Span(max(0, end - self.stretch) // BLOCK * BLOCK, end)

    def between(self) -> list[int]:
        """Offsets of single marks, in bytes. Not where a card boots from: those blocks are zero, and stay so."""
        room = self.end.start - FOREIGN
        return sorted({FOREIGN + room * number // BETWEEN // BLOCK * BLOCK for number in range(BETWEEN)})

    def mark(self, offset: int) -> bytes:
        """A block that exists at one offset of one card in one run."""
        head = self.key + offset.to_bytes(8, "big")
        return head + hashlib.shake_128(head).digest(BLOCK - len(head))

    def writes(self, span: Span) -> bool:
        """Marks a span; False when the card refuses it."""
        for part in span.steps(STEP):
            view = buffer(part.size)
            view[:] = b"".join(self.mark(offset) for offset in range(part.start, part.end, BLOCK))
            try:
                self.card.write(view, part.start)
            except CardError:
                if self.card.is_gone():
                    raise
                return False
            self.progress.add(part.size)
        return True

    def found(self, offset: int) -> bytes:
        """The block that is there; nothing when it cannot be read."""
        view = buffer(BLOCK)
        try:
            self.card.read(view, offset)
        except CardError:
            if self.card.is_gone():
                raise
            return b""
        self.progress.add(BLOCK)
        return view.tobytes()

    def keeps(self, offset: int) -> bool:
        """True when the mark is where it was written."""
        return self.found(offset) == self.mark(offset)

    def wraps(self) -> int | None:
        """The card's real size in bytes, when marks of its end show below; None when none does."""
        offsets = list(reversed(range(0, self.end.start, self.stretch)))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for offset, block in zip(offsets, pool.map(self.found, offsets), strict=True):
                meant = int.from_bytes(block[KEY : KEY + 8], "big")
                if block[:KEY] == self.key and meant >= self.end.start and block == self.mark(meant):
                    return meant - offset
        return None

    def explained(self, offsets: list[int], bad: set[int]) -> CardError:
        """What is wrong with a card that does not keep its marks."""
        good = [offset for offset in offsets if offset not in bad and self.keeps(offset)]
        if not good:
            return CardError(
                f"{self.card.name} keeps nothing of what is written to it. Was it pulled out? {AGAIN}. Else it is worn "
                "out or write-protected: use another"
            )
        first = min(bad, default=self.end.end - BLOCK)
        if good[-1] > first:
            return CardError(
                f"{self.card.name} does not keep what is written at {amount(first)} of {amount(self.card.size)}: it is "
                "worn, use another card"
            )
        return self.fake(self.bisected(good[-1], first))

    def bisected(self, good: int, bad: int) -> int:
        """The real size in bytes, to the next megabyte or so, between a good offset and a bad one."""
        while bad - good > max(BLOCK, self.card.size // STRETCHES // 16):
            middle = (good + bad) // 2 // BLOCK * BLOCK
            kept = self.writes(Span(middle, middle + BLOCK))
            if kept:
                self.card.sync()
            if kept and self.keeps(middle):
                good = middle
            else:
                bad = middle
        return bad

    def fake(self, real: int) -> CardError:
        """In plain words."""
        return CardError(
            f"this card says {amount(self.card.size)} and holds {amount(real)}. It is a fake or "
            "broken, and loses what is written to it: give it back, use another"
        )
