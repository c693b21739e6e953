"""What a person reads: amounts, progress, the list of disks, verdicts."""

import os
import sys
import time
from typing import TextIO

import pytest

from deploy.controller.progress import duration_text, say_line
from deploy.errors import BoardllamaError
from deploy.flash.batch import result_summary
from deploy.flash.confirmation import choose_name, confirm_names, disk_overview, loss_warning
from deploy.flash.disk_contents import Content
from deploy.flash.display_text import size_text
from deploy.flash.progress import CardProgress
from deploy.flash.results import CardVerdict, Result
from tests.unit.lsblk import disk


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (17408, "17.4 kB"),
        (1_999_999_488, "2 GB"),
        (7_948_206_080, "7.9 GB"),
        (64_000_000_000, "64 GB"),
        (2_000_000_000_000, "2 TB"),
    ],
)
def test_amounts_are_as_on_the_label(size: int, text: str) -> None:
    assert size_text(size) == text


def test_durations() -> None:
    assert [duration_text(seconds) for seconds in (0.34, 44, 200)] == ["0.3 s", "44 s", "3 min"]


def test_progress_says_how_far_how_fast_and_how_long() -> None:
    line = CardProgress("sdb", "writing", 452_000_000, 212_000_000, began=100.0, moved=110.0)
    assert line.status_line(110.0) == "sdb: writing 212 of 452 MB, 46 %, 21.2 MB/s, 11 s left"


def test_a_card_that_does_not_answer_is_said_to_be_silent() -> None:
    line = CardProgress("sdb", "writing", 452_000_000, 212_000_000, began=100.0, moved=110.0)
    assert line.status_line(150.0) == "sdb: writing, 212 MB of 452 MB: no answer for 40 s; pull it out if it stays so"


def test_a_card_that_is_silent_before_an_amount_is_known() -> None:
    line = CardProgress("sdb", "looking at what it holds", began=100.0, moved=100.0)
    assert line.status_line(120.0) == "sdb: looking at what it holds: no answer for 20 s; pull it out if it stays so"


def test_a_card_that_has_ended_is_not_silent_however_long_the_others_take() -> None:
    line = CardProgress("sdb", "reading back", 10, 10)
    line.end("PASS")
    assert line.status_line(time.monotonic() + 90) == "sdb: PASS"


def test_a_phase_without_an_amount_is_just_named() -> None:
    assert CardProgress("sdb", "waiting", began=0.0, moved=0.0).status_line(1.0) == "sdb: waiting"


def test_a_terminal_that_is_gone_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

        def flush(self) -> None: ...

    monkeypatch.setattr(sys, "stderr", Gone())
    say_line("something")


def test_the_list_has_every_disk_and_its_reason() -> None:
    lines = disk_overview([disk()], [(disk(name="sda", rm=False), "is what this machine runs from (/)")])
    assert lines == [
        "May be written:",
        "  sdb        /dev/sdb, 64 GB, STORAGE DEVICE, serial 000000001206",
        "May not:",
        "  sda        /dev/sda, 64 GB, STORAGE DEVICE, serial 000000001206\n"
        "             is what this machine runs from (/)",
    ]
    assert disk_overview([], []) == ["No disk may be written: put a card into the reader."]


def test_the_loss_names_partitions_file_systems_and_labels() -> None:
    found = [Content("sdb1", 537_000_000, "vfat", "bootfs"), Content("sdb2", 31_000_000_000, "ext4", "rootfs")]
    assert loss_warning(disk(), found, "boardllama-rpi4 r1 as kitchen") == [
        "/dev/sdb, 64 GB, STORAGE DEVICE, serial 000000001206 becomes boardllama-rpi4 r1 as kitchen. "
        "This will be lost:",
        "    sdb1           537 MB  vfat       bootfs",
        "    sdb2            31 GB  ext4       rootfs",
    ]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> TextIO:
    """What is typed into it is what is read."""
    read, write = os.pipe()
    stdin = os.fdopen(read)
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", stdin)
    return os.fdopen(write, "w", buffering=1)


@pytest.mark.parametrize("typed", ["sdb sdc", "sdc,sdb", "/dev/sdb /dev/sdc"])
def test_the_names_of_all_disks_are_the_answer(terminal: TextIO, typed: str) -> None:
    terminal.write(f"{typed}\n")
    confirm_names(["sdb", "sdc"])


def test_a_file_s_name_with_blanks_is_the_answer_too(terminal: TextIO) -> None:
    terminal.write("my card, new.img\n")
    confirm_names(["my card, new.img"])


@pytest.mark.parametrize("typed", ["", "y", "yes", "sdb", "sdb sdc sdd", "SDB SDC"])
def test_nothing_else_is(terminal: TextIO, typed: str) -> None:
    terminal.write(f"{typed}\n")
    with pytest.raises(BoardllamaError, match="nothing was written"):
        confirm_names(["sdb", "sdc"])


def test_the_end_of_input_is_no_answer(terminal: TextIO) -> None:
    terminal.close()
    with pytest.raises(BoardllamaError, match="stopped: nothing was written"):
        choose_name(["sdb"])


def test_verdicts_are_plain() -> None:
    good = Result("/dev/sdb", "1", "b", "ab", {"hostname": ["kitchen"]}, 452_000_000, 44.2, CardVerdict.PASS, "", "")
    assert result_summary(good) == "PASS /dev/sdb as kitchen: 452 MB written, all of it read back, 44 s"
    bad = Result("/dev/sdb", "1", "b", "ab", {}, 0, 1.0, CardVerdict.FAIL, "this card says 64 GB and holds 8 GB", "")
    assert result_summary(bad) == "FAIL /dev/sdb: this card says 64 GB and holds 8 GB"
