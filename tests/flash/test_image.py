"""An image that is not what was signed never reaches a card, and one that changes under way never boots."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.flash.archive import open_archive
from deploy.flash.card import open_card
from deploy.flash.card_writer import flash_card
from deploy.flash.progress import CardProgress
from tests.flash.flashing import Flashing, has_boot_data
from tests.flash.images import MIB
from tests.flash.loops import card_file, loop_device

NAME = "boardllama-test"
BEFORE = b"what was there" * 1000


@pytest.fixture
def copy(images: Path, tmp_path: Path) -> Path:
    """A copy of the old image, for one test."""
    shutil.copytree(images / "old", tmp_path / "dist")
    return tmp_path / "dist" / f"{NAME}.img.zst"


def cut_file(image: Path) -> None:
    """Leaves half of the image, as a copy that was broken off."""
    with image.open("r+b") as file:
        file.truncate(image.stat().st_size // 2)


def change_bit(path: Path, offset: int = 1000) -> None:
    """Changes one bit of the file."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def remove_file(path: Path) -> None:
    """Removes the file, as if it had not been copied."""
    path.unlink()


def replace_signature(image: Path) -> None:
    """Replaces the signature by that of somebody else: a signature of any other file is the same to us."""
    other = image.parents[1] / "other.sig"
    signature = image.with_name(f"{NAME}.manifest.json.sig")
    lines = signature.read_text().splitlines()
    lines[3] = lines[3][::-1]
    other.write_text("\n".join(lines) + "\n")
    shutil.move(other, signature)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut_file, "was cut short"),
        (change_bit, "is damaged"),
        (lambda image: change_bit(image.with_name(f"{NAME}.bmap")), "is damaged"),
        (lambda image: change_bit(image.with_name(f"{NAME}.manifest.json"), 20), "is not what was signed"),
        (replace_signature, "is not what was signed"),
        (lambda image: remove_file(image.with_name(f"{NAME}.manifest.json.sig")), "is not there"),
        (lambda image: remove_file(image.with_name(f"{NAME}.bmap")), "cannot be read"),
    ],
    ids=["cut", "image", "bmap", "manifest", "signature", "no signature", "no bmap"],
)
def test_nothing_is_written_of_an_image_that_is_not_whole_and_signed(
    flashing: Flashing, copy: Path, tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(copy)
    memory = tmp_path / "card"
    memory.write_bytes(BEFORE.ljust(40 * MIB, b"x"))
    before = memory.read_bytes()
    with loop_device(memory) as card:
        done = flashing.flash(copy, card)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1, "one line"
    assert memory.read_bytes() == before


def test_an_image_of_an_unknown_signer_is_refused(flashing: Flashing, copy: Path, tmp_path: Path) -> None:
    signers = tmp_path / "signers"
    signers.write_text("boardllama ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINq+JwvWvQl44f5sMKerhcg4F613tQeIMFxbu2vEz4lo\n")
    done = flashing.run(copy, "--to-file", str(tmp_path / "card"), "--signers", str(signers))
    assert "is not what was signed, or not signed by one of" in done.stderr
    assert not (tmp_path / "card").exists()


def test_an_image_on_a_medium_that_takes_no_results_is_said_before_the_card_is_written(
    flashing: Flashing, tmp_path: Path
) -> None:
    done = flashing.run("old", "--to-file", str(tmp_path / "card"), "--results", "/proc/results.jsonl")
    assert "/proc/results.jsonl cannot be written" in done.stderr
    assert not (tmp_path / "card").exists()


def test_an_image_that_changes_after_it_was_verified_does_not_boot(
    flashing: Flashing, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOARDLLAMA_KEYS", str(flashing.images / "keys"))
    memory = card_file(tmp_path / "card", 40 * MIB)
    with loop_device(memory) as device, open_archive(copy) as archive, open_card(device.path) as card:
        with copy.open("r+b") as file:
            file.seek(copy.stat().st_size // 2)
            file.write(b"something else")
        with pytest.raises(BoardllamaError):
            flash_card(card, archive, (), CardProgress("card"))
    assert not has_boot_data(memory, archive.manifest.disk.size)
