"""Fake cards of real sizes: what is found, and what is said."""

import errno
import os
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.flash.card import Card, CardError
from deploy.flash.probe import Probe
from deploy.flash.progress import CardProgress
from deploy.formats.spans import IO_BLOCK
from tests.unit.memory_card import MemoryCard

GB = 10**9
MIB = 1 << 20
SIZE = 64 * GB // 512 * 512


def run_probe(card: MemoryCard) -> None:
    """Probes the card to the end."""
    Probe(card, CardProgress("card")).run()


@pytest.mark.parametrize("size", [4 * MIB, 100 * MIB, 2 * GB, SIZE])
def test_a_good_card_passes_and_little_is_written(size: int) -> None:
    card = MemoryCard("/dev/sdz", -1, size)
    run_probe(card)
    assert card.written <= max(size // 1000, 400 << 10)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_under_a_file_is_not_called_a_fake_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As `make flash TO_FILE=…` meets it."""

    def full(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwritev", full)
    with (tmp_path / "card.img").open("wb+") as file:
        file.truncate(4 * MIB)
        with pytest.raises(BoardllamaError, match=r"the disk that card\.img lies on is full") as caught:
            Probe(Card("card.img", file.fileno(), 4 * MIB), CardProgress("card")).run()
    assert not isinstance(caught.value, CardError)


@pytest.mark.parametrize("how", ["wrap", "drop", "error"])
@pytest.mark.parametrize("real", [8 * GB, 7_948_206_080, 31 * GB + 4096, 63 * GB])
def test_a_fake_is_found_whatever_it_has_and_does(how: str, real: int) -> None:
    card = MemoryCard("/dev/sdz", -1, SIZE, real=real // 4096 * 4096, how=how)
    with pytest.raises(CardError, match=f"this card says 64 GB and holds {real / GB:.2g}"):
        run_probe(card)


@pytest.mark.parametrize("how", ["wrap", "drop", "error"])
def test_a_card_that_lacks_its_last_block_alone_is_no_good(how: str) -> None:
    """An image may end there."""
    card = MemoryCard("/dev/sdz", -1, SIZE, real=SIZE - IO_BLOCK, how=how)
    with pytest.raises(CardError, match=r"says 64 GB and holds \d+ bytes less\. It is a fake or broken"):
        run_probe(card)


def test_the_words_are_plain() -> None:
    with pytest.raises(CardError) as caught:
        run_probe(MemoryCard("/dev/sdz", -1, SIZE, real=8 * GB, how="wrap"))
    assert str(caught.value) == (
        "this card says 64 GB and holds 8 GB. It is a fake or broken, and loses what is written to it: give it back, "
        "use another"
    )


def test_a_card_that_keeps_nothing_is_not_called_a_fake() -> None:
    card = MemoryCard("/dev/sdz", -1, SIZE, real=4096, how="drop")
    with pytest.raises(CardError, match="keeps nothing of what is written to it"):
        run_probe(card)


def test_a_worn_spot_is_not_called_a_fake() -> None:
    card = MemoryCard("/dev/sdz", -1, SIZE)
    card.worn = frozenset([Probe(card, CardProgress("card")).mark_offsets()[20]])
    with pytest.raises(CardError, match="does not keep what is written at 20 GB of 64 GB: it is worn"):
        run_probe(card)


def test_two_runs_have_different_marks() -> None:
    card = MemoryCard("/dev/sdz", -1, SIZE)
    first, second = Probe(card, CardProgress("card")), Probe(card, CardProgress("card"))
    assert first.block_mark(0) != second.block_mark(0) != second.block_mark(4096)
