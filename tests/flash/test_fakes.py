"""Cards that lie or are worn, and readers that are slow: found, and said in plain words."""

import re
from pathlib import Path

import pytest

from tests.flash.faulty import faulty_card
from tests.flash.flashing import Flashing, has_boot_data
from tests.flash.images import MIB, ROOT
from tests.flash.loops import card_file, loop_device

SIZE, REAL = 256 * MIB, 40 * MIB


@pytest.mark.parametrize("mode", ["wrap", "drop", "error"])
def test_a_card_that_lies_about_its_size_is_found_before_the_image_is_written(
    flashing: Flashing, tmp_path: Path, mode: str
) -> None:
    with faulty_card(card_file(tmp_path / "memory", REAL), size=SIZE, real=REAL, mode=mode) as card:
        done = flashing.flash("old", card)
    assert done.returncode == 1
    assert "this card says 268 MB and holds 42 MB" in done.stdout
    (line,) = flashing.lines()
    assert line["bytes"] < 3 * MIB


@pytest.mark.parametrize(
    ("at", "words"),
    [(ROOT, "does not keep what is written to it"), (0, "does not keep its boot sectors")],
    ids=["data", "boot sector"],
)
def test_a_worn_block_is_found_by_reading_back(flashing: Flashing, tmp_path: Path, at: int, words: str) -> None:
    memory = card_file(tmp_path / "memory", REAL)
    with faulty_card(memory, mode="rot", at=at) as card:
        done = flashing.flash("old", card)
    assert done.returncode == 1
    assert words in done.stdout
    assert "use another" in done.stdout
    if at:  # a first block that keeps nothing cannot be made zero either
        assert not has_boot_data(memory, 24 * MIB)


def test_a_card_that_only_seems_to_take_what_is_written_is_said_to_boot_perhaps(
    flashing: Flashing, tmp_path: Path
) -> None:
    """As cards do at the end of their life: it holds, and starts, what it held."""
    memory = card_file(tmp_path / "memory", REAL)
    with loop_device(memory) as card:
        assert flashing.flash("old", card).returncode == 0
    with faulty_card(memory, mode="keep") as card:
        done = flashing.flash("new", card)
    assert done.returncode == 1
    assert "keeps nothing of what is written to it" in done.stdout
    assert f"{card.path} may still boot what was on it" in done.stdout and "does not boot" not in done.stdout
    assert has_boot_data(memory, 24 * MIB)


def test_a_slow_card_passes_and_says_how_long_it_takes(flashing: Flashing, tmp_path: Path) -> None:
    with faulty_card(card_file(tmp_path / "memory", REAL), delay=0.06) as card:
        done = flashing.flash("old", card)
    assert done.returncode == 0, done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith(f"{card.path}: ")]
    assert len(lines) >= 1, "the first lines come every five seconds"
    assert any(re.search(r"\d+ of \d+ MB, \d+ %, [\d.]+ MB/s, [\d.]+ (s|min) left$", line) for line in lines)
    assert "\x1b" not in done.stderr, "a pipe is no terminal"
