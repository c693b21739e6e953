"""The arithmetic of byte ranges."""

import itertools
import random

from deploy.formats.spans import Span, aligned_span, merged_spans, remaining_spans, spans_inside, total_size


def test_pieces_end_at_multiples() -> None:
    assert list(Span(3, 20).split(8)) == [(3, 8), (8, 16), (16, 20)]
    assert list(Span(5, 5).split(8)) == []


def test_aligned_is_what_it_touches() -> None:
    assert aligned_span(Span(4097, 8193)) == (4096, 12288)
    assert aligned_span(Span(0, 4096)) == (0, 4096)


def test_against_sets_of_bytes() -> None:
    source = random.Random(2)
    for _ in range(300):
        spans = merged_spans(random_spans(source))
        removed = merged_spans(random_spans(source))
        window = Span(source.randrange(50), source.randrange(50, 100))
        assert bytes_of(remaining_spans(spans, removed)) == bytes_of(spans) - bytes_of(removed)
        assert bytes_of(spans_inside(spans, window)) == bytes_of(spans) & bytes_of([window])
        assert total_size(spans) == len(bytes_of(spans))
        assert all(one.end < other.start for one, other in itertools.pairwise(spans))


def test_a_gap_joins() -> None:
    assert merged_spans([Span(0, 4), Span(6, 8)], gap=2) == [(0, 8)]
    assert merged_spans([Span(0, 4), Span(7, 8)], gap=2) == [(0, 4), (7, 8)]


def random_spans(source: random.Random) -> list[Span]:
    """Some spans, which may overlap."""
    starts = [source.randrange(95) for _ in range(source.randrange(6))]
    return [Span(start, start + source.randrange(1, 12)) for start in starts]


def bytes_of(spans: list[Span]) -> set[int]:
    """The number of every byte in the spans."""
    return {byte for span in spans for byte in range(span.start, span.end)}
