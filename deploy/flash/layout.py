"""What of an image is written when. Boot sectors come last, so that a card boots the whole image or nothing.

`late` are the blocks of the boot sectors, and those at the image's end: there lies the second partition table, from
which firmware repairs the first one.
"""

from dataclasses import dataclass, field

from deploy.flash.archive import Archive
from deploy.flash.spans import Span, aligned, inside, merged, without

BACKUP_TABLE = 33 * 512  # bytes: 32 sectors of entries and a header, at the end of a GPT disk
FOREIGN = 1 << 20  # bytes at both ends of a card where other images have boot loaders, partition tables, RAID marks


@dataclass(frozen=True)
class Layout:
    """Spans of one image on one card, in order and in whole blocks; `foreign` is what may make a card boot now."""

    late: list[Span]
    mapped: list[Span]
    holes: list[Span]
    foreign: list[Span]

    @staticmethod
    def of(archive: Archive, card_size: int) -> "Layout":
        """Of an image on a card of so many bytes."""
        size = archive.manifest.disk_size
        late = merged(aligned(span) for span in [*archive.manifest.boot_sectors, Span(size - BACKUP_TABLE, size)])
        card = Span(0, card_size)
        ends = [Span(0, FOREIGN).within(card), Span(card_size // FOREIGN * FOREIGN - FOREIGN, card_size).within(card)]
        return Layout(
            late=late,
            mapped=without(archive.blocks.mapped, late),
            holes=without(archive.blocks.holes, late),
            foreign=merged(part.within(card) for part in [*ends, *late]),
        )

    def writes(self, window: Span, gap: int) -> list[Span]:
        """The mapped parts of the window, with holes of at most `gap` bytes between them; never a boot sector."""
        return without(merged(inside(self.mapped, window), gap), inside(self.late, window))


@dataclass
class Kept:
    """Parts of an image that are kept in memory as it streams by: zero until they are taken."""

    spans: list[Span]
    contents: dict[Span, bytearray] = field(init=False)

    def __post_init__(self) -> None:
        self.spans = merged(self.spans)
        self.contents = {span: bytearray(span.size) for span in self.spans}

    def wants(self, window: Span) -> bool:
        """True when some of it lies there."""
        return bool(inside(self.spans, window))

    def take(self, window: Span, data: memoryview) -> None:
        """Keeps what lies in the window, whose bytes are `data`."""
        for span in self.spans:
            part = span.within(window)
            if part.size > 0:
                content = memoryview(self.contents[span])
                content[part.start - span.start : part.end - span.start] = at(data, window, part)

    def read(self, span: Span) -> bytes:
        """Bytes that are kept; the span lies in one of `spans`."""
        (home,) = inside(self.spans, span)
        (whole,) = (one for one in self.spans if one.start <= home.start and home.end <= one.end)
        return bytes(self.contents[whole][span.start - whole.start : span.end - whole.start])

    def put(self, window: Span, data: memoryview) -> None:
        """Puts what is kept in its place in `data`, the bytes of the window."""
        for part in inside(self.spans, window):
            at(data, window, part)[:] = self.read(part)


def at(data: memoryview, window: Span, part: Span) -> memoryview:
    """The bytes of a part of the window, whose bytes are `data`."""
    return data[part.start - window.start : part.end - window.start]
