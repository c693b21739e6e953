"""What is never written, whatever anybody says; and what is written only when its serial is named."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.flash.card import open_card, open_exclusively
from tests.flash.flashing import Flashing
from tests.flash.images import MIB
from tests.flash.loops import Loop, card_file, loop_device

CARD = 40 * MIB
LUKS = b"LUKS\xba\xbe\x00\x01".ljust(592, b"\x00")


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Loop]:
    """A loop device over an empty card."""
    with loop_device(card_file(tmp_path / "card", CARD)) as device:
        yield device


def run_program(*words: str, text: str | None = None) -> None:
    """Runs a program that must succeed."""
    subprocess.run(words, input=text, text=True, capture_output=True, check=True)


def write_bytes(card: Loop, offset: int, data: bytes) -> None:
    """Writes through the device, and not to the file behind it."""
    with card.path.open("r+b") as disk:
        disk.seek(offset)
        disk.write(data)


@contextmanager
def mounted_card(card: Loop, folder: Path) -> Iterator[None]:
    """The card with a file system that is mounted."""
    run_program("mke2fs", "-q", "-F", str(card.path))
    folder.mkdir()
    run_program("mount", str(card.path), str(folder))
    try:
        yield
    finally:
        run_program("umount", str(folder))


@contextmanager
def swapped_card(card: Loop) -> Iterator[None]:
    """The card with swap space that is in use."""
    run_program("mkswap", str(card.path))
    run_program("swapon", str(card.path))
    try:
        yield
    finally:
        run_program("swapoff", str(card.path))


def assert_refused(flashing: Flashing, card: Loop, *words: str) -> None:
    """Not a byte of the card changes, and one line says why."""
    before = card.file.read_bytes()
    assert_told(flashing, card, *words)
    assert card.file.read_bytes() == before


def assert_told(flashing: Flashing, card: Loop, *words: str) -> None:
    """The card is refused, and one line says why."""
    done = flashing.flash("old", card)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert all(word in last for word in words), last


def test_a_mounted_disk(flashing: Flashing, card: Loop, tmp_path: Path) -> None:
    with mounted_card(card, tmp_path / "mounted"):
        assert_refused(flashing, card, f"{card.path} is mounted at {tmp_path}/mounted: `umount {card.path}` first")


def test_a_disk_that_is_mounted_after_it_was_looked_at(card: Loop, tmp_path: Path) -> None:
    with mounted_card(card, tmp_path / "mounted"), pytest.raises(BoardllamaError, match="something on it is in use"):
        open_exclusively(card.path)


def test_a_disk_that_another_flash_has_open(flashing: Flashing, card: Loop) -> None:
    with open_card(card.path):
        done = flashing.flash("old", card)
    assert done.returncode == 1
    assert "is in use" in done.stdout


def test_a_disk_that_is_swapped_to(flashing: Flashing, card: Loop) -> None:
    with swapped_card(card):
        assert_told(flashing, card, "is swapped to")  # the kernel may write to it meanwhile
    assert_refused(flashing, card, "holds swap space", "wipefs --all")


@pytest.mark.parametrize("offset", [0, 2 * MIB], ids=["disk", "partition"])
def test_a_disk_with_a_locked_volume(flashing: Flashing, card: Loop, offset: int) -> None:
    if offset:
        run_program("sfdisk", "--quiet", str(card.path), text=f"label: gpt\nstart={offset // 512}, size=8192\n")
    write_bytes(card, offset, LUKS)
    assert_refused(flashing, card, "holds LUKS", "wipefs --all")


def test_a_hibernated_system(flashing: Flashing, card: Loop) -> None:
    run_program("mkswap", str(card.path))
    write_bytes(card, 4086, b"S1SUSPEND\0")
    assert_refused(flashing, card, "holds a hibernated system", "wipefs --all")


def test_a_locked_volume_in_a_partition_that_reaches_past_the_end(flashing: Flashing, card: Loop) -> None:
    run_program("sfdisk", "--quiet", str(card.path), text=f"label: dos\nstart={2 * MIB // 512}\n")
    write_bytes(card, 446 + 12, (1 << 28).to_bytes(4, "little"))
    write_bytes(card, 2 * MIB, LUKS)
    assert_refused(flashing, card, "holds LUKS", "wipefs --all")


def test_a_partition_table_for_other_sectors(flashing: Flashing, tmp_path: Path) -> None:
    memory = card_file(tmp_path / "card", CARD)
    with loop_device(memory, sector=4096) as card:
        run_program("sfdisk", "--quiet", str(card.path), text="label: gpt\nstart=512\n")
        write_bytes(card, 2 * MIB, LUKS)
        assert_refused(flashing, card, "has sectors of 4096 bytes", "use another")
    with loop_device(memory) as card:
        words = f"holds a partition table that cannot be read ({card.path.name})"
        assert_refused(flashing, card, words, "wipefs --all")
        run_program("wipefs", "--all", str(card.path))
        assert flashing.flash("old", card).returncode == 0


def test_a_disk_with_traces_of_two_file_systems(flashing: Flashing, card: Loop) -> None:
    run_program("mke2fs", "-q", "-F", str(card.path))
    write_bytes(card, 0, b"hsqs")  # of squashfs
    assert_refused(flashing, card, "holds more than one file system", "wipefs --all")


def test_a_disk_that_is_too_small(flashing: Flashing, tmp_path: Path) -> None:
    with loop_device(card_file(tmp_path / "small", 20 * MIB)) as small:
        assert_refused(flashing, small, "is too small: it has 21 MB", "the image needs 25 MB")


def test_a_loop_device_that_nobody_has_named_by_its_file(flashing: Flashing, card: Loop) -> None:
    done = flashing.run("old", "--device", str(card.path), "--yes", "--serial", "something else")
    assert f"is a loop device: SERIAL='{card.file}' says that you mean it" in done.stderr
    done = flashing.run("old", "--devices", "all", "--yes", "--serial", "something else")
    assert done.returncode == 1
    assert str(card.file) in done.stderr, "it is listed, with the reason"


def test_a_disk_that_is_not_there_and_a_disk_twice(flashing: Flashing, card: Loop) -> None:
    done = flashing.run("old", "--device", "/dev/nothing")
    assert "/dev/nothing is no disk of this machine" in done.stderr
    words = ["--devices", f"{card.path},{card.path}", "--yes", "--serial", str(card.file)]
    assert "is named twice" in flashing.run("old", *words).stderr


def test_nothing_is_written_without_a_terminal_or_a_serial(flashing: Flashing, card: Loop) -> None:
    done = flashing.run("old", "--device", str(card.path), "--serial", str(card.file))
    assert "there is no terminal to ask on" in done.stderr
    assert not any(card.file.read_bytes())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--hostname", "Kitchen_1"], "hostname"),
        (["--ssh-key", "/nowhere/id.pub"], "no key and no file"),
        (["--address", "192.168.1.20"], "address"),
    ],
)
def test_an_identity_that_is_wrong_is_said_before_anything_is_written(
    flashing: Flashing, card: Loop, words: list[str], said: str
) -> None:
    done = flashing.flash("old", card, *words)
    assert done.returncode == 1
    assert said in done.stderr
    assert not any(card.file.read_bytes())


def test_two_cards_cannot_be_one_board(flashing: Flashing, card: Loop, tmp_path: Path) -> None:
    with loop_device(card_file(tmp_path / "other", CARD)) as other:
        words = ["--devices", f"{card.path},{other.path}", "--yes", "--hostname", "kitchen"]
        done = flashing.run("old", *words, "--serial", str(card.file), "--serial", str(other.file))
    assert "2 cards cannot have one host name" in done.stderr
