"""What of an image is written when. Boot sectors come last, so that a card boots the whole image or nothing.

Blocks that come late are those of the boot sectors, and those at the end of the image, where the second partition
table lies: firmware repairs the first table from it.
"""

from dataclasses import dataclass, field

from deploy.flash.archive import Archive
from deploy.formats.spans import Span, aligned_span, merged_spans, part_view, remaining_spans, spans_inside

BACKUP_TABLE = 33 * 512  # bytes: 32 sectors of entries and a header, at the end of a GPT disk
FOREIGN = 1 << 20  # bytes at both ends of a card where other images have boot loaders, partition tables, RAID marks


@dataclass(frozen=True)
class CardLayout:
    """Spans of one image on one card, in order and in whole blocks.

    `late` is written last, `mapped` before it, `holes` read as zero; in `foreign` may lie what makes the card boot now.
    """

    late: list[Span]
    mapped: list[Span]
    holes: list[Span]
    foreign: list[Span]

    @staticmethod
    def for_card(archive: Archive, card_size: int) -> "CardLayout":
        """The layout of an image on a card of `card_size` bytes."""
        size = archive.manifest.disk.size
        boot = [*archive.manifest.boot_spans, Span(size - BACKUP_TABLE, size)]
        late = merged_spans(aligned_span(span) for span in boot)
        card = Span(0, card_size)
        ends = [Span(0, FOREIGN), Span(card_size // FOREIGN * FOREIGN - FOREIGN, card_size)]
        return CardLayout(
            late=late,
            mapped=remaining_spans(archive.blocks.mapped_spans, late),
            holes=remaining_spans(archive.blocks.hole_spans, late),
            foreign=merged_spans(part.overlap_with(card) for part in [*ends, *late]),
        )

    def write_spans(self, window: Span, gap: int) -> list[Span]:
        """What is written of the window: mapped spans, and holes of at most `gap` bytes between them; nothing late."""
        return remaining_spans(merged_spans(spans_inside(self.mapped, window), gap), spans_inside(self.late, window))


@dataclass
class Kept:
    """Parts of an image that stay in memory while the image streams by. Until they are taken, they are zero."""

    spans: list[Span]
    contents: dict[Span, bytearray] = field(init=False)

    def __post_init__(self) -> None:
        self.spans = merged_spans(self.spans)
        self.contents = {span: bytearray(span.size) for span in self.spans}

    def take(self, window: Span, data: memoryview) -> None:
        """Keeps the bytes of the window that lie in `spans`. `data` are all bytes of the window."""
        for span in self.spans:
            part = span.overlap_with(window)
            if part.size > 0:
                part_view(memoryview(self.contents[span]), span, part)[:] = part_view(data, window, part)

    def read(self, span: Span) -> bytes:
        """The bytes of a span that lies in one of `spans`."""
        (home,) = (kept for kept in self.spans if span.overlap_with(kept) == span)
        return bytes(part_view(memoryview(self.contents[home]), home, span))

    def put(self, window: Span, data: memoryview) -> None:
        """Copies what is kept to its place in `data`, the bytes of the window."""
        for part in spans_inside(self.spans, window):
            part_view(data, window, part)[:] = self.read(part)
