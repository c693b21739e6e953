"""At a terminal: what is asked, what is shown, and what becomes of a card when the terminal or the program goes."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.flash.faulty import faulty_card
from tests.flash.flashing import Flashing, has_boot_data, has_image
from tests.flash.images import MIB, ROOT
from tests.flash.loops import Loop, attach_lock, card_file, loop_device
from tests.flash.terminal import Terminal, open_terminal

CARD = 40 * MIB


@contextmanager
def asked_person(flashing: Flashing, card: Loop, *words: str) -> Iterator[Terminal]:
    """The command on a terminal, as a person runs it."""
    command = flashing.command(flashing.image("old"), "--serial", str(card.file), *words)
    with open_terminal(command, flashing.environment) as found:
        yield found


def test_the_question_shows_what_will_be_lost_and_is_answered_by_a_name(flashing: Flashing, tmp_path: Path) -> None:
    memory = card_file(tmp_path / "card", CARD)
    with loop_device(memory) as card:
        assert flashing.flash("old", card).returncode == 0
        with asked_person(flashing, card, "--device", str(card.path)) as person:
            said = person.until("to go on")
            assert "42 MB" in said and str(memory) in said
            assert "BOARDLLAMA" in said and "vfat" in said and "4.2 MB" in said
            assert "test starts from: SD card, USB disk (with an EEPROM)" in said
            person.type("yes\n")
            assert person.ended() == 1
            assert f"'yes' is not {card.path.name}: nothing was written" in person.said
        before = memory.read_bytes()
        with asked_person(flashing, card, "--device", str(card.path)) as person:
            person.until("to go on")
            person.type(f"{card.path.name}\n")
            assert person.ended() == 0, person.said
        assert f"PASS {card.path}" in person.said
    assert memory.read_bytes() != b"" and before[: 24 * MIB] == memory.read_bytes()[: 24 * MIB]


def test_without_a_device_it_lists_all_disks_and_asks(flashing: Flashing, tmp_path: Path) -> None:
    memory = card_file(tmp_path / "card", CARD)
    with loop_device(memory) as card, loop_device(card_file(tmp_path / "small", 10 * MIB)) as small:
        with asked_person(flashing, card, "--serial", str(small.file)) as person:
            said = person.until("Its name, or nothing to stop")
            assert f"{small.path}, 10.5 MB" in said and "is too small" in said
            assert "what this machine runs from" in said or "mounted" in said
            person.type(f"{card.path.name}\n")
            person.until("This will be lost")
            person.type(f"{card.path.name}\n")
            assert person.ended() == 0, person.said
        with asked_person(flashing, card) as person:
            person.until("Its name, or nothing to stop")
            person.type("\n")
            assert person.ended() == 1
            assert "stopped: nothing was written" in person.said
    assert has_image(memory, flashing.image("old"))


def attach_again(card: Loop) -> None:
    """Attaches the same file, which is another card to the kernel."""
    with attach_lock():
        subprocess.run(["losetup", "--detach", str(card.path)], check=True)
        until = time.monotonic() + 20  # it goes when the last lsblk that looks at it has closed it
        while subprocess.run(["losetup", str(card.path), str(card.file)], check=False).returncode:
            assert time.monotonic() < until
            time.sleep(0.1)


def format_again(card: Loop) -> None:
    """Makes another file system, as another card in the same reader that the kernel has not seen change."""
    subprocess.run(["mke2fs", "-q", "-F", "-L", "thesis", str(card.path)], check=True)


@pytest.mark.parametrize("change", [attach_again, format_again])
def test_a_card_that_was_changed_while_the_question_waited_is_not_written(
    flashing: Flashing, tmp_path: Path, change: Callable[[Loop], None]
) -> None:
    memory = card_file(tmp_path / "card", CARD)
    with loop_device(memory) as card, asked_person(flashing, card, "--device", str(card.path)) as person:
        person.until("to go on")
        change(card)
        before = memory.read_bytes()
        person.type(f"{card.path.name}\n")
        assert person.ended() == 1, person.said
        assert memory.read_bytes() == before
    assert "another card is in the reader now" in person.said
    assert [(line["verdict"], line["bytes"]) for line in flashing.lines()] == [("FAIL", 0)]


def test_what_is_shown_is_what_is_there_when_it_is_shown(flashing: Flashing, tmp_path: Path) -> None:
    memory = card_file(tmp_path / "card", CARD)
    with loop_device(memory) as card, asked_person(flashing, card) as person:
        person.until("Its name, or nothing to stop")
        format_again(card)
        person.type(f"{card.path.name}\n")
        assert "thesis" in person.until("to go on")


@pytest.mark.parametrize(
    ("phase", "slow"),
    [
        ("looking for the card's real size", {"delay": 0.1}),
        ("clearing", {"delay": 0.1}),
        ("reading back", {"read_delay": 3, "at": ROOT}),
    ],
    ids=["probing", "clearing", "reading back"],
)
def test_ctrl_c_in_any_phase_leaves_a_card_that_does_not_boot(
    flashing: Flashing, tmp_path: Path, phase: str, slow: dict[str, float]
) -> None:
    memory = card_file(tmp_path / "memory", CARD)
    with faulty_card(memory, **slow) as card:
        with asked_person(flashing, card, "--device", str(card.path), "--yes") as person:
            person.until(phase)
            person.type("\x03")
            assert person.ended() == 130, person.said
        assert flashing.lines()[-1]["verdict"] == "INTERRUPTED"
        assert not has_boot_data(memory, 24 * MIB)


@pytest.mark.parametrize("how", ["Ctrl-C", "hang-up", "SIGTERM", "SIGKILL"])
def test_a_run_that_is_ended_leaves_no_half_image_that_boots(flashing: Flashing, tmp_path: Path, how: str) -> None:
    memory = card_file(tmp_path / "memory", CARD)
    with faulty_card(memory, delay=0.02) as card:
        with asked_person(flashing, card, "--device", str(card.path), "--yes") as person:
            person.until(r"writing \d+ of \d+ MB")
            if how == "Ctrl-C":
                person.type("\x03")
            elif how == "hang-up":
                person.hang_up()
            else:
                person.process.send_signal(signal.Signals[how])
            status = person.ended()
        assert not has_boot_data(memory, 24 * MIB)
        if how != "SIGKILL":
            assert status == 130
            assert flashing.lines()[-1]["verdict"] == "INTERRUPTED"
        if how in ("Ctrl-C", "SIGTERM"):
            assert "does not boot now: run the same command again" in person.said
    with loop_device(memory) as card:
        done = flashing.flash("old", card)
    assert done.returncode == 0, done.stderr
    assert has_image(memory, flashing.image("old"))


def test_ctrl_c_while_it_is_made_to_boot_comes_after_the_proof(flashing: Flashing, tmp_path: Path) -> None:
    """A card that may boot is proven, or made not to."""
    memory = card_file(tmp_path / "memory", CARD)
    with (
        faulty_card(memory, boot_delay=2) as card,
        asked_person(flashing, card, "--device", str(card.path), "--yes") as person,
    ):
        person.until("making it boot")
        person.type("\x03")
        person.ended()
    assert f"PASS {card.path}" in person.said
    assert flashing.lines()[-1]["verdict"] == "PASS"
    assert has_image(memory, flashing.image("old"))


def test_a_fake_that_was_interrupted_is_still_found_the_next_time(flashing: Flashing, tmp_path: Path) -> None:
    memory = card_file(tmp_path / "memory", CARD)
    with faulty_card(memory, size=256 * MIB, real=CARD, mode="wrap", delay=0.1) as card:
        words = ("--device", str(card.path), "--yes")
        with asked_person(flashing, card, *words) as person:
            person.until("looking for the card's real size")
            person.type("\x03")
            assert person.ended() == 130, person.said
        assert not has_boot_data(memory, 24 * MIB)
        with asked_person(flashing, card, *words) as person:
            assert person.ended() == 1
    assert "this card says 268 MB and holds 42 MB" in person.said
    assert [line["verdict"] for line in flashing.lines()] == ["INTERRUPTED", "FAIL"]
    assert not has_boot_data(memory, 24 * MIB)


def test_ctrl_c_beside_a_card_that_has_failed_gives_each_its_own_verdict(flashing: Flashing, tmp_path: Path) -> None:
    slow, broken = (card_file(tmp_path / name, CARD) for name in ("slow", "broken"))
    with faulty_card(slow, delay=0.1) as first, faulty_card(broken, pull=3 * MIB) as second:
        words = ("--devices", f"{first.path},{second.path}", "--yes", "--serial", str(second.file))
        with asked_person(flashing, first, *words) as person:
            person.until(f"{second.path}: FAIL")
            person.type("\x03")
            assert person.ended() == 130, person.said
    said = {line["device"]: line["verdict"] for line in flashing.lines()}
    assert said == {str(first.path): "INTERRUPTED", str(second.path): "FAIL"}
    assert not has_boot_data(slow, 24 * MIB) and not has_boot_data(broken, 24 * MIB)
