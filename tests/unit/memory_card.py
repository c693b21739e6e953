"""A card in memory, of any size, good or fake: only blocks that were written take space."""

from collections.abc import Callable
from dataclasses import dataclass, field

from deploy.flash.card import Card, CardError
from deploy.formats.spans import IO_BLOCK, Span


@dataclass
class MemoryCard(Card):
    """A card that says `size` and has `real` bytes. Behind them it wraps around, drops, or fails, as `how` says."""

    real: int = 0
    how: str = ""
    worn: frozenset[int] = frozenset()  # offsets of blocks that keep nothing
    blocks: dict[int, bytes] = field(default_factory=dict)

    def place(self, offset: int) -> int | None:
        """Where an offset really is; None for nowhere."""
        if not self.real or offset < self.real:
            return offset
        if self.how == "error":
            raise CardError("Input/output error")
        return offset % self.real if self.how == "wrap" else None

    def read(self, view: memoryview, offset: int) -> None:
        for start in range(0, len(view), IO_BLOCK):
            place = self.place(offset + start)
            zeros = bytes(IO_BLOCK)
            view[start : start + IO_BLOCK] = self.blocks.get(place, zeros) if place is not None else zeros

    def write(self, view: memoryview, offset: int) -> None:
        for start in range(0, len(view), IO_BLOCK):
            place = self.place(offset + start)
            if place is not None and place not in self.worn:
                self.blocks[place] = bytes(view[start : start + IO_BLOCK])
            self.written += IO_BLOCK

    def sync(self) -> None:
        """Does nothing: no write is kept back."""

    def punch(self, span: Span) -> bool:
        """False: the kernel vouches for no zeros on this card."""
        return False

    def discard(self, span: Span, answered: Callable[[], object]) -> None:
        """Does nothing, as a card that does not listen."""

    def is_gone(self) -> bool:
        """Never true: nobody pulls this card out."""
        return False
