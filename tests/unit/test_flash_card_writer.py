"""What decides about single blocks: layout, what is kept in memory, differences, zeros, reading ahead."""

import hashlib
import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.flash import card_writer as module
from deploy.flash.archive import Archive
from deploy.flash.card import Card, CardError, Interrupted, lengthen_file
from deploy.flash.card_writer import card_fate, finish_card, finish_or_erase
from deploy.flash.difference import differing_spans, has_earlier_image
from deploy.flash.erasure import clear_holes, erase_boot_data
from deploy.flash.layout import CardLayout, Kept
from deploy.flash.progress import CardProgress
from deploy.flash.stream import page_buffer, read_ahead
from deploy.formats.block_map import BlockMap, MappedRange
from deploy.formats.image_manifest import Disk, ImageFile, ImageManifest
from deploy.formats.spans import IO_BLOCK, Span, total_size
from tests.unit.memory_card import MemoryCard

MIB = 1 << 20
SIZE = 8 * MIB


def image_archive(*mapped: Span) -> Archive:
    """The archive of an image whose mapped blocks hold the number of their range."""
    sha256 = [hashlib.sha256(bytes([number]) * span.size).hexdigest() for number, span in enumerate(mapped, 1)]
    ranges = tuple(map(MappedRange, mapped, sha256))
    file = ImageFile(name="b.img.zst", size=1, sha256="0" * 64)
    boot = ((0, 17408), (3 * MIB, 512))
    manifest = ImageManifest(board="b", image=file, bmap=file, disk=Disk(size=SIZE), boot_sectors=boot)
    return Archive(Path("b.img.zst"), manifest, BlockMap(SIZE, ranges), -1)


def test_every_block_of_the_image_is_late_or_mapped_or_a_hole_and_only_one_of_them() -> None:
    layout = CardLayout.for_card(image_archive(Span(0, 2 * MIB), Span(4 * MIB, 5 * MIB)), 64 * MIB)
    together = sorted([*layout.late, *layout.mapped, *layout.holes])
    assert total_size(together) == SIZE
    assert all(one.end == other.start for one, other in itertools.pairwise(together))
    assert layout.late[0] == (0, 20480)
    assert layout.late[-1].end == SIZE, "the second partition table"
    assert layout.foreign[0] == (0, MIB)
    assert layout.foreign[-1] == (63 * MIB, 64 * MIB)


def test_a_gap_between_two_writes_goes_with_them_but_never_a_boot_sector() -> None:
    layout = CardLayout.for_card(image_archive(Span(2 * MIB, 3 * MIB + 8192), Span(3 * MIB + 16384, 4 * MIB)), 64 * MIB)
    assert layout.write_spans(Span(2 * MIB, 6 * MIB), 8192) == [
        (2 * MIB, 3 * MIB),
        (3 * MIB + 4096, 4 * MIB),
    ]


def test_what_is_kept_comes_back_in_its_place() -> None:
    kept = Kept([Span(4096, 8192), Span(16384, 20480)])
    data = memoryview(bytes(range(256)) * 96)
    for start in (0, 8192, 16384):
        kept.take(Span(start, start + 8192), data[start : start + 8192])
    assert kept.read(Span(4096, 8192)) == data[4096:8192]
    view = memoryview(bytearray(8192))
    kept.put(Span(16384, 24576), view)
    assert view[:4096] == data[16384:20480] and not any(view[4096:])


def test_blocks_that_differ_and_little_gaps() -> None:
    wanted, found = bytearray(40 * IO_BLOCK), bytearray(40 * IO_BLOCK)
    for block in (3, 5, 30):
        found[block * IO_BLOCK + 100] = 1
    span = Span(MIB, MIB + len(wanted))
    assert differing_spans(span, memoryview(wanted), memoryview(wanted)) == []
    assert differing_spans(span, memoryview(wanted), memoryview(found)) == [
        (MIB + 3 * IO_BLOCK, MIB + 6 * IO_BLOCK),
        (MIB + 30 * IO_BLOCK, MIB + 31 * IO_BLOCK),
    ]


@pytest.mark.parametrize(("there", "expected"), [(8, True), (2, True), (1, False), (0, False)])
def test_a_card_that_holds_a_quarter_of_the_samples_is_compared(there: int, expected: bool) -> None:
    spans = [Span(start * MIB // 2 + MIB, start * MIB // 2 + MIB + 8192) for start in range(8)]
    card = MemoryCard("/dev/sdz", -1, SIZE)
    for number, span in enumerate(spans[:there], 1):
        for offset in range(span.start, span.end, IO_BLOCK):
            card.blocks[offset] = bytes([number]) * IO_BLOCK
    assert has_earlier_image(card, image_archive(*spans)) is expected


def test_only_blocks_that_are_not_zero_are_written_to_clear_a_hole() -> None:
    card = MemoryCard("/dev/sdz", -1, 64 * MIB)
    card.blocks = {offset: b"x" * IO_BLOCK for offset in (2 * MIB, 5 * MIB, 6 * MIB, 20 * MIB)}
    clear_holes(card, CardLayout.for_card(image_archive(Span(0, 3 * MIB)), card.size), SIZE, CardProgress("card"))
    assert card.written == 2 * IO_BLOCK
    assert not any(card.blocks[5 * MIB]) and not any(card.blocks[6 * MIB])
    assert any(card.blocks[2 * MIB]), "it is mapped, and written later"


def test_a_card_that_really_erases_answers_all_the_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.flash.card.fcntl.ioctl", lambda *_: b"")
    answers: list[str] = []
    Card("/dev/sdz", -1, 5 << 30).discard(Span(0, 5 << 30), lambda: answers.append("done"))
    assert len(answers) == 5


def test_a_card_that_takes_writes_and_drops_them_is_not_said_not_to_boot() -> None:
    card = MemoryCard("/dev/sdz", -1, 64 * MIB, worn=frozenset([0]), blocks={0: b"x" * IO_BLOCK})
    with pytest.raises(CardError, match="does not keep its boot sectors"):
        erase_boot_data(card, CardLayout.for_card(image_archive(Span(0, 3 * MIB)), card.size))
    assert "/dev/sdz may still boot" in card_fate(card)
    card.worn = frozenset()
    erase_boot_data(card, CardLayout.for_card(image_archive(Span(0, 3 * MIB)), card.size))
    assert card_fate(card) == "/dev/sdz does not boot now"
    card.blocks[0] = b"x" * IO_BLOCK
    assert "/dev/sdz may still boot" in card_fate(card), "it has lost what it took"


@pytest.mark.parametrize("worn", [False, True])
def test_whatever_fails_before_the_proof_the_card_does_not_boot(monkeypatch: pytest.MonkeyPatch, worn: bool) -> None:
    card = MemoryCard("/dev/sdz", -1, 64 * MIB)

    def broken(*_: object) -> None:
        assert any(card.blocks[0]), "it would boot"
        card.worn = frozenset([0]) if worn else card.worn
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(module, "check_changes", broken)
    layout = CardLayout.for_card(image_archive(Span(0, 3 * MIB)), card.size)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        finish_or_erase(card, layout, [(Span(0, IO_BLOCK), b"b" * IO_BLOCK)], CardProgress("card"))
    assert any(card.blocks[0]) is card.may_boot is worn


def test_a_file_in_the_place_of_a_card_has_whole_sectors(tmp_path: Path) -> None:
    path = tmp_path / "card.img"
    path.write_bytes(bytes(1000))
    with path.open("rb+") as file:
        lengthen_file(path, file.fileno(), 512)
        assert path.stat().st_size == 1024
        lengthen_file(path, file.fileno(), 4096)
    assert path.stat().st_size == 4096


def test_reading_ahead_keeps_the_order_and_brings_the_error() -> None:
    def items() -> Iterator[int]:
        yield from range(10)
        raise ValueError("the end")

    found = []
    with pytest.raises(ValueError, match="the end"):
        for item in read_ahead(items()):
            found.append(item)
    assert found == list(range(10))


def test_a_reader_that_is_left_early_ends_its_thread() -> None:
    threads = threading.active_count()
    stream = read_ahead(iter(range(1000)))
    assert next(stream) == 0
    stream.close()
    assert threading.active_count() == threads


def test_a_card_hears_of_the_end_before_its_next_write() -> None:
    card = Card("/dev/null", -1, SIZE)
    card.stop.set()
    for method in (card.write, card.read):
        with pytest.raises(Interrupted):
            method(page_buffer(IO_BLOCK), 0)


def test_ctrl_c_comes_too_late_for_a_card_that_is_about_to_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is finished, and proven; its result does not say that it does not boot."""
    (tmp_path / "card").write_bytes(bytes(MIB))
    descriptor = os.open(tmp_path / "card", os.O_RDWR)
    card = Card("card", descriptor, MIB)
    ended = card.stop
    monkeypatch.setattr(CardProgress, "add", lambda *_: ended.set())  # after the first of two blocks
    finish_card(card, [(Span(8192, 12288), b"a" * IO_BLOCK), (Span(0, 4096), b"b" * IO_BLOCK)], CardProgress("card"))
    os.close(descriptor)
    assert ended.is_set()
    assert (tmp_path / "card").read_bytes()[:IO_BLOCK] == b"b" * IO_BLOCK
