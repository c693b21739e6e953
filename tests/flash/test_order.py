"""The order of writes, as the card itself saw it."""

from pathlib import Path
from typing import NamedTuple

from tests.flash.faulty import faulty_card
from tests.flash.flashing import Flashing
from tests.flash.images import LOADER, MIB

SIZE, CARD = 24 * MIB, 40 * MIB


class Seen(NamedTuple):
    """One request to the card; `zero` when only zeros were written."""

    what: str
    start: int
    end: int
    zero: bool

    def touches(self, start: int, end: int) -> bool:
        """True when the request reads or writes some of these bytes."""
        return self.start < end and start < self.end


def read_log(path: Path) -> list[Seen]:
    """The requests that the card wrote down, in order."""
    found = []
    for line in path.read_text().splitlines():
        what, offset, size, zero = line.split()
        found.append(Seen(what, int(offset), int(offset) + int(size), zero == "1"))
    return found


def test_boot_sectors_go_first_and_come_last(flashing: Flashing, tmp_path: Path) -> None:
    memory, log = tmp_path / "memory", tmp_path / "log"
    memory.write_bytes(b"old" * (CARD // 3) + b"o")
    with faulty_card(memory, log=log) as card:
        done = flashing.flash("old", card, "--hostname", "kitchen")
    assert done.returncode == 0, done.stderr
    seen = [one for one in read_log(log) if one.what != "read" or one.end - one.start > 65536]
    writes = [one for one in seen if one.what == "write"]
    boot = ((0, 34 * 512), (LOADER[0], sum(LOADER)), (SIZE - 33 * 512, SIZE))
    data = [seen.index(one) for one in writes if not one.zero and not any(one.touches(*span) for span in boot)]
    wiped = [seen.index(one) for one in writes if one.zero and one.touches(0, 512)]
    booting = [seen.index(one) for one in writes if not one.zero and any(one.touches(*span) for span in boot)]
    flushes = [number for number, one in enumerate(seen) if one.what == "flush"]
    reads = [number for number, one in enumerate(seen) if one.what == "read" and not one.touches(0, MIB)]

    assert any(min(wiped) < number < min(data) for number in flushes), (
        "what was there cannot boot any more before anything else is written"
    )
    last_reads = [number for number in reads if number < min(booting)]
    assert max(data[: -len(identity_writes(writes))]) < max(last_reads), "everything is read back before it may boot"
    assert max(data) < min(booting), "the identity, too, is there before it may boot"
    last = seen[booting[-1]]
    assert last.start == 0, "the first sector is the last one"
    assert any(booting[-2] < number < booting[-1] for number in flushes), "and it waits until all others rest"
    assert any(number > booting[-1] for number in flushes)
    after = read_log(log)[read_log(log).index(last) :]
    assert any(one.what == "read" and one.touches(0, 512) for one in after), "and is read back, too"


def identity_writes(writes: list[Seen]) -> list[Seen]:
    """The writes of single blocks into the identity partition, which come after the read-back."""
    return [one for one in writes if one.touches(MIB, 5 * MIB) and one.end - one.start == 4096 and not one.zero]
