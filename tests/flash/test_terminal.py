"""At a terminal: what is asked, what is shown, and what becomes of a card when the terminal or the program goes."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.flash.faulty import faulty
from tests.flash.flashing import Flashing, holds, may_boot
from tests.flash.images import MIB
from tests.flash.loops import Loop, card_file, loop
from tests.flash.terminal import Terminal, terminal

CARD = 40 * MIB


@contextmanager
def asked(flashing: Flashing, card: Loop, *words: str) -> Iterator[Terminal]:
    """The program, waiting for an answer."""
    command = flashing.command(flashing.image("old"), "--serial", str(card.file), *words)
    with terminal(command, flashing.environment) as found:
        yield found


def test_the_question_shows_what_will_be_lost_and_is_answered_by_a_name(flashing: Flashing, tmp_path: Path) -> None:
    memory = card_file(tmp_path / "card", CARD)
    with loop(memory) as card:
        assert flashing.flash("old", card).returncode == 0
        with asked(flashing, card, "--device", str(card.path)) as person:
            said = person.until("to go on")
            assert "42 MB" in said and str(memory) in said
            assert "BOARDLLAMA" in said and "vfat" in said and "4.2 MB" in said
            person.type("yes\n")
            assert person.ended() == 1
            assert f"'yes' is not {card.path.name}: nothing was written" in person.said
        before = memory.read_bytes()
        with asked(flashing, card, "--device", str(card.path)) as person:
            person.until("to go on")
            person.type(f"{card.path.name}\n")
            assert person.ended() == 0, person.said
        assert f"PASS {card.path}" in person.said
    assert memory.read_bytes() != b"" and before[: 24 * MIB] == memory.read_bytes()[: 24 * MIB]


def test_without_a_device_it_lists_all_disks_and_asks(flashing: Flashing, tmp_path: Path) -> None:
    memory = card_file(tmp_path / "card", CARD)
    with loop(memory) as card, loop(card_file(tmp_path / "small", 10 * MIB)) as small:
        with asked(flashing, card, "--serial", str(small.file)) as person:
            said = person.until("Its name, or nothing to stop")
            assert f"{small.path}, 10.5 MB" in said and "is too small" in said
            assert "what this machine runs from" in said or "mounted" in said
            person.type(f"{card.path.name}\n")
            person.until("This will be lost")
            person.type(f"{card.path.name}\n")
            assert person.ended() == 0, person.said
        with asked(flashing, card) as person:
            person.until("Its name, or nothing to stop")
            person.type("\n")
            assert person.ended() == 1
            assert "stopped: nothing was written" in person.said
    assert holds(memory, flashing.image("old"))


@pytest.mark.parametrize("how", ["Ctrl-C", "hang-up", "SIGTERM", "SIGKILL"])
def test_a_run_that_is_ended_leaves_no_half_image_that_boots(flashing: Flashing, tmp_path: Path, how: str) -> None:
    memory = card_file(tmp_path / "memory", CARD)
    with faulty(memory, delay=0.02) as card:
        with asked(flashing, card, "--device", str(card.path), "--yes") as person:
            person.until(r"writing \d+ of \d+ MB")
            if how == "Ctrl-C":
                person.type("\x03")
            elif how == "hang-up":
                person.hang_up()
            else:
                person.process.send_signal(signal.Signals[how])
            status = person.ended()
        assert not may_boot(memory, 24 * MIB)
        if how != "SIGKILL":
            assert status == 130
            assert flashing.lines()[-1]["verdict"] == "INTERRUPTED"
        if how in ("Ctrl-C", "SIGTERM"):
            assert "does not boot now: run the same command again" in person.said
    with loop(memory) as card:
        done = flashing.flash("old", card)
    assert done.returncode == 0, done.stderr
    assert holds(memory, flashing.image("old"))
