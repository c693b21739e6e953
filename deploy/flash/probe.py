"""Fake and worn cards are found before an image is written to them.

A fake card says that it is large; what is written behind its real end wraps around to its beginning, is dropped, or is
an error. So marks that exist once are written at its end and in between, and read again. Its last part is filled with
them, and one block is read in every stretch of that size below: wherever the card wraps, one of them shows.
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from deploy.flash.card import TRY_AGAIN, Card, CardError
from deploy.flash.display_text import size_text
from deploy.flash.layout import FOREIGN
from deploy.flash.progress import CardProgress
from deploy.flash.stream import page_buffer
from deploy.formats.spans import IO_BLOCK, Span

BETWEEN = 64  # marks from the beginning to the end
STRETCHES = 2048  # of the card: the last one is filled with marks, and a block of each other one is read
SMALLEST = 64 << 10  # bytes of a stretch on small cards
WRITE_STEP = 1 << 20  # bytes
READS_AT_ONCE = 4  # threads, which wait for the card
KEY_SIZE = 16  # bytes at the beginning of a mark, the same in all marks of a run


@dataclass
class Probe:
    """The marks on one card, and what they prove. Its methods raise CardError when the card is gone."""

    card: Card
    progress: CardProgress
    key: bytes = field(default_factory=lambda: os.urandom(KEY_SIZE))

    def run(self) -> None:
        """Returns when the card keeps what is written to it, where it is written. Raises CardError, Interrupted."""
        between = self.mark_offsets()
        total = 2 * self.stretch_size + IO_BLOCK * (2 * BETWEEN + STRETCHES)
        self.progress.begin("looking for the card's real size", total)
        bad = {offset for offset in between if not self.write_marks(Span(offset, offset + IO_BLOCK))}
        if not self.write_marks(self.end_span):
            bad.add(self.end_span.start)
        self.card.sync()
        if (real := self.wrapped_size()) is not None:
            raise self.fake_error(real)
        bad |= {offset for offset in [*between, self.end_span.start] if not self.has_mark(offset)}
        if not bad and self.has_mark(self.end_span.end - IO_BLOCK):
            return
        raise self.explain_loss(sorted([*between, self.end_span.start]), bad)

    @property
    def stretch_size(self) -> int:
        """Bytes of the part at the end of the card that is filled with marks."""
        return max(SMALLEST, self.card.size // STRETCHES // SMALLEST * SMALLEST)

    @property
    def end_span(self) -> Span:
        """The part at the end of the card that is filled with marks."""
        end = self.card.end_of_blocks
        return Span(max(0, end - self.stretch_size) // IO_BLOCK * IO_BLOCK, end)

    def mark_offsets(self) -> list[int]:
        """Offsets of the single marks, in bytes. None is where a card boots from: those blocks stay zero."""
        room = self.end_span.start - FOREIGN
        return sorted({FOREIGN + room * number // BETWEEN // IO_BLOCK * IO_BLOCK for number in range(BETWEEN)})

    def block_mark(self, offset: int) -> bytes:
        """A block that exists at one offset of one card in one run."""
        head = self.key + offset.to_bytes(8, "big")
        return head + hashlib.shake_128(head).digest(IO_BLOCK - len(head))

    def write_marks(self, span: Span) -> bool:
        """Fills the span with marks; False when the card refuses them."""
        for part in span.split(WRITE_STEP):
            view = page_buffer(part.size)
            view[:] = b"".join(self.block_mark(offset) for offset in range(part.start, part.end, IO_BLOCK))
            try:
                self.card.write(view, part.start)
            except CardError:
                if self.card.is_gone():
                    raise
                return False
            self.progress.add(part.size)
        return True

    def read_block(self, offset: int) -> bytes:
        """The block at the offset; no bytes when it cannot be read."""
        view = page_buffer(IO_BLOCK)
        try:
            self.card.read(view, offset)
        except CardError:
            if self.card.is_gone():
                raise
            return b""
        self.progress.add(IO_BLOCK)
        return view.tobytes()

    def has_mark(self, offset: int) -> bool:
        """True when the mark is where it was written."""
        return self.read_block(offset) == self.block_mark(offset)

    def wrapped_size(self) -> int | None:
        """The card's real size in bytes, when marks of its end show below the end; None when none of them does."""
        offsets = list(reversed(range(0, self.end_span.start, self.stretch_size)))
        with ThreadPoolExecutor(READS_AT_ONCE) as pool:
            for offset, block in zip(offsets, pool.map(self.read_block, offsets), strict=True):
                meant = int.from_bytes(block[KEY_SIZE : KEY_SIZE + 8], "big")
                if block[:KEY_SIZE] == self.key and meant >= self.end_span.start and block == self.block_mark(meant):
                    return meant - offset
        return None

    def explain_loss(self, offsets: list[int], bad: set[int]) -> CardError:
        """The error for a card that has lost its marks at the `bad` offsets; `offsets` are those of all marks."""
        good = [offset for offset in offsets if offset not in bad and self.has_mark(offset)]
        if not good:
            return CardError(
                f"{self.card.name} keeps nothing of what is written to it. Was it pulled out? {TRY_AGAIN}. "
                "Else it is worn out or write-protected: use another"
            )
        first = min(bad, default=self.end_span.end - IO_BLOCK)
        if good[-1] > first:
            return CardError(
                f"{self.card.name} does not keep what is written at {size_text(first)} of {size_text(self.card.size)}: "
                "it is worn, use another card"
            )
        return self.fake_error(self.find_real_size(good[-1], first))

    def find_real_size(self, good: int, bad: int) -> int:
        """The real size in bytes, by bisection between an offset that keeps a mark and an offset that does not.

        It is too large by at most a block, or a 32768th of what the card says.
        """
        while bad - good > max(IO_BLOCK, self.card.size // STRETCHES // 16):
            middle = (good + bad) // 2 // IO_BLOCK * IO_BLOCK
            kept = self.write_marks(Span(middle, middle + IO_BLOCK))
            if kept:
                self.card.sync()
            if kept and self.has_mark(middle):
                good = middle
            else:
                bad = middle
        return bad

    def fake_error(self, real: int) -> CardError:
        told, holds = size_text(self.card.size), size_text(real)
        if holds == told:
            holds = f"{self.card.size - real} bytes less"
        return CardError(
            f"this card says {told} and holds {holds}. It is a fake or "
            "broken, and loses what is written to it: give it back, use another"
        )
