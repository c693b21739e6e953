"""A card that is pulled out at any moment boots all of an image or nothing; the same command again makes it whole."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.flash.archive import Archive, open_archive
from deploy.flash.card import Card, CardError, open_card
from deploy.flash.card_writer import flash_card
from deploy.flash.progress import CardProgress
from deploy.flash.stream import page_buffer
from tests.flash.faulty import faulty_card
from tests.flash.flashing import Flashing, has_boot_data, has_image
from tests.flash.images import MIB
from tests.flash.loops import Loop, card_file, loop_device

CARD = 26 * MIB
POINTS = 50


@dataclass
class Pulled(Card):
    """A card that is gone after `left` more bytes; of what was not flushed then, any part may be lost."""

    left: int = 1 << 62
    source: random.Random = field(default_factory=random.Random)
    unflushed: list[tuple[int, memoryview]] = field(default_factory=list)

    def write(self, view: memoryview, offset: int) -> None:
        """Writes what comes before the cut. Raises CardError at the cut."""
        before = page_buffer(len(view))
        self.read(before, offset)
        fits = min(len(view), max(0, self.left // 4096 * 4096))
        self.unflushed += [(offset + start, before[start : start + 4096]) for start in range(0, fits, 4096)]
        super().write(view[:fits], offset)
        self.left -= len(view)
        if self.left < 0:
            self.lose()
            raise CardError("pulled")

    def sync(self) -> None:
        """Flushes the card: what was written before stays."""
        super().sync()
        self.unflushed.clear()

    def lose(self) -> None:
        """Puts some of the blocks that were not flushed back to what they were."""
        for offset, before in reversed(self.unflushed):
            if self.source.random() < 0.5:
                super().write(before, offset)
        self.unflushed.clear()


@contextmanager
def pulled_card(device: Loop, left: int, source: random.Random) -> Iterator[Pulled]:
    """The card in the loop device, which goes after `left` bytes."""
    with open_card(device.path) as card:
        yield Pulled(card.name, card.descriptor, card.size, left=left, source=source)


@pytest.fixture
def archive(flashing: Flashing, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """The old image, verified and open."""
    monkeypatch.setenv("BOARDLLAMA_KEYS", str(flashing.images / "keys"))
    with open_archive(flashing.image("old")) as found:
        yield found


def test_pulled_at_any_point_it_boots_all_or_nothing_and_again_makes_it_whole(
    flashing: Flashing, archive: Archive, tmp_path: Path
) -> None:
    memory, image, source = tmp_path / "card", flashing.image("old"), random.Random(4)
    memory.write_bytes(source.randbytes(CARD))
    with loop_device(memory) as device:
        flash_again(device, archive)
        for point in range(POINTS):
            spoil_card(memory, source, whole=point % 2 == 0)
            before = partition_bytes(memory, archive)
            most = (8 if point % 2 == 0 else 3) * MIB  # bytes that are written: all of it, or what differs
            with pulled_card(device, source.randrange(4096, most), source) as card, suppress(CardError):
                flash_card(card, archive, (), CardProgress("card"))
            after = partition_bytes(memory, archive)
            if has_boot_data(memory, archive.manifest.disk.size):
                whole = partition_bytes(image.with_suffix(""), archive)
                assert after in (before, whole), f"half an image boots, point {point}"
            flash_again(device, archive)
            assert has_image(memory, image), f"point {point}"


def flash_again(device: Loop, archive: Archive) -> None:
    """Writes the card once more, without a fault."""
    with open_card(device.path) as card:
        flash_card(card, archive, (), CardProgress("card"))


def spoil_card(memory: Path, source: random.Random, whole: bool) -> None:
    """What a board wrote meanwhile, here and there; or another system's data everywhere but where it boots from."""
    with memory.open("r+b") as file:
        for offset in [MIB] if whole else source.sample(range(MIB, 22 * MIB, 4096), 20):
            file.seek(offset)
            file.write(source.randbytes(22 * MIB if whole else 4096))
        os.fsync(file.fileno())


def partition_bytes(memory: Path, archive: Archive) -> bytes:
    """What is in the partitions, without the places that a board boots from."""
    return memory.read_bytes()[MIB : archive.manifest.disk.size - MIB]


@pytest.mark.parametrize("after", [1 * MIB, 4 * MIB, 6 * MIB])
def test_a_pulled_card_is_said_to_be_one_and_passes_when_it_is_put_in_again(
    flashing: Flashing, tmp_path: Path, after: int
) -> None:
    memory = card_file(tmp_path / "memory", CARD)
    with faulty_card(memory, pull=after) as card:
        done = flashing.flash("old", card)
    assert done.returncode == 1
    assert "Was it pulled out? Put it in again and run the same command" in done.stdout
    fate = "does not boot now" if after > 2 * MIB else "may still boot"  # pulled before that was seen
    assert f"{card.path} {fate}" in done.stdout
    assert not has_boot_data(memory, 24 * MIB)
    with loop_device(memory) as card:
        done = flashing.flash("old", card)
    assert done.returncode == 0, done.stdout
    assert has_image(memory, flashing.image("old"))
