"""The bytes of an image in order, decompressed before they are asked for."""

import mmap
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import zstandard

from deploy.errors import BoardllamaError
from deploy.flash.archive import READ_SIZE, Archive, compressed_reader, drain_reader
from deploy.formats.spans import Span, aligned_span, spans_inside

Item = TypeVar("Item")
PIECE_SIZE = 1 << 20  # bytes: larger ones leave the processor's cache, and cost a third more time
AHEAD = 8  # pieces


class Piece(NamedTuple):
    """Bytes of the image, in memory that O_DIRECT takes. They are good until the next piece is asked for."""

    span: Span
    data: memoryview


def page_buffer(size: int = PIECE_SIZE) -> memoryview:
    """Memory at the start of a page, all zero: O_DIRECT takes no other."""
    return memoryview(mmap.mmap(-1, size))


def image_pieces(archive: Archive, wanted: Sequence[Span]) -> Generator[Piece]:
    """The pieces of the image that hold a wanted byte, made ahead by a thread. `wanted` is in order, without overlaps.

    Raises BoardllamaError, also at the end of the image when its file has changed meanwhile.
    """
    return read_ahead(decompressed_pieces(archive, wanted))


def decompressed_pieces(archive: Archive, wanted: Sequence[Span]) -> Generator[Piece]:
    """The same pieces without a thread. Each is good until AHEAD + 1 others were asked for."""
    source = compressed_reader(archive.path, archive.descriptor, archive.manifest.image)
    reader = zstandard.ZstdDecompressor().stream_reader(source, read_size=READ_SIZE, read_across_frames=True)
    ring = deque(page_buffer() for _ in range(AHEAD + 2))
    for span in Span(0, archive.manifest.disk.size).split(PIECE_SIZE):
        fill_view(reader, ring[0][: span.size])
        if rest := aligned_span(span).end - span.end:
            ring[0][span.size : span.size + rest] = bytes(rest)
        if spans_inside(wanted, span):
            yield Piece(span, ring[0])
            ring.rotate(-1)
    if reader.read(1):
        raise BoardllamaError(f"{archive.path} holds more than its manifest says: get the image again")
    drain_reader(source)


def fill_view(reader: zstandard.ZstdDecompressionReader, view: memoryview) -> None:
    """Reads as many bytes as the view holds. Raises BoardllamaError when the image ends or is damaged before."""
    done = 0
    try:
        while done < len(view):
            count = reader.readinto(view[done:])
            if not count:
                raise BoardllamaError("the image ends before its manifest says: get it again")
            done += count
    except zstandard.ZstdError as error:
        raise BoardllamaError(f"the image cannot be decompressed ({error}): get it again") from None


def read_ahead(items: Iterator[Item]) -> Generator[Item]:
    """The items, up to AHEAD of them made by a thread before they are asked for."""
    with ThreadPoolExecutor(1) as pool:
        coming = deque(pool.submit(next, items, None) for _ in range(AHEAD))
        try:
            while (item := coming.popleft().result()) is not None:
                coming.append(pool.submit(next, items, None))
                yield item
        finally:
            for future in coming:
                future.cancel()
