"""boardllama.txt in a root file system: found on the disk, and changed there. The file systems are real ones."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.flash.identity_file import changed_blocks, put_into_slot
from deploy.formats.identity_slot import SLOT_BYTES, find_slot, slot_content
from deploy.formats.spans import IO_BLOCK, Span
from deploy.onboard.identity.boardllama_txt import FILE, Identity, parse_identity

START, SIZE = 16 << 20, 32 << 20
CONTENT = slot_content(Identity().render())
SBIN = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}


def tool(*words: str) -> bytes:
    """Output of a program of e2fsprogs, which must succeed."""
    return subprocess.run(words, env=os.environ | SBIN, check=True, capture_output=True, timeout=60).stdout


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A sparse disk with ext4 from START on, which holds the file."""
    root, made = tmp_path / "root", tmp_path / "disk"
    (root / "etc").mkdir(parents=True)
    (root / "etc/other").write_bytes(CONTENT[:-1] + b"x")
    (root / FILE).write_bytes(CONTENT)
    made.touch()
    os.truncate(made, START + SIZE)
    tool("mke2fs", "-q", "-F", "-b", "4096", "-d", str(root), "-E", f"offset={START}", str(made), f"{SIZE >> 10}k")
    return made


def test_the_file_is_found_and_what_is_written_over_it_is_what_the_file_system_gives_back(disk: Path) -> None:
    slot = find_slot(disk, Span(START, START + SIZE), CONTENT)
    assert slot.size == SLOT_BYTES and slot.start % IO_BLOCK == 0
    put_into_slot(disk, slot.start, "hostname = kitchen\n")
    where = f"{disk}?offset={START}"
    said = tool("debugfs", "-R", f"cat /{FILE}", where).decode()
    assert len(said) == SLOT_BYTES and parse_identity(said).hostname == "kitchen"
    tool("e2fsck", "-fn", where)


@pytest.mark.parametrize("copies", [0, 2])
def test_a_file_that_is_not_there_exactly_once_is_refused(disk: Path, copies: int) -> None:
    place = find_slot(disk, Span(START, START + SIZE), CONTENT).start
    with disk.open("r+b") as file:
        file.seek(START + SIZE - SLOT_BYTES if copies else place)
        file.write(CONTENT if copies else b"x")
    with pytest.raises(BoardllamaError, match=f"lies {copies} times in one piece in the root of the image"):
        find_slot(disk, Span(START, START + SIZE), CONTENT)


def test_a_text_that_is_too_long_is_refused() -> None:
    assert len(slot_content("x" * SLOT_BYTES)) == SLOT_BYTES
    with pytest.raises(BoardllamaError, match="has 16385 bytes and this image has room for 16384: name fewer keys"):
        slot_content("x" * (SLOT_BYTES + 1))


def test_the_blocks_that_differ_are_told_by_their_place_on_the_disk(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    content = bytearray(5 << 20)
    before.write_bytes(content)
    for at in (IO_BLOCK, (5 << 20) - 1):
        content[at] = 1
    after.write_bytes(content)
    found = [span for span, _ in changed_blocks(before, after, 1 << 20)]
    last = (6 << 20) - IO_BLOCK
    assert found == [Span((1 << 20) + IO_BLOCK, (1 << 20) + 2 * IO_BLOCK), Span(last, 6 << 20)]
