"""The map of an image: what bmap tools read, and the same wherever the image lies."""

import hashlib
import os
import re
from pathlib import Path

from deploy.formats.block_map import BLOCK, BlockMap, MappedRange
from deploy.formats.spans import Span
from deploy.image.disk_map import map_disk


def block(byte: bytes) -> bytes:
    """One block of one byte."""
    return byte * BLOCK


def image(folder: Path, *blocks: bytes) -> Path:
    """An image file."""
    path = folder / "disk.img"
    path.write_bytes(b"".join(blocks))
    return path


def test_what_is_not_zero_is_mapped_and_neighbours_are_one_range(tmp_path: Path) -> None:
    content = [block(b"a"), block(b"\0"), block(b"b"), block(b"c"), block(b"\0"), b"end"]
    found, sha256 = map_disk(image(tmp_path, *content))
    spans = [(0, BLOCK), (2 * BLOCK, 4 * BLOCK), (5 * BLOCK, 5 * BLOCK + 3)]
    assert [mapped.span for mapped in found.ranges] == spans
    assert found.ranges[1].sha256 == hashlib.sha256(content[2] + content[3]).hexdigest()
    assert sha256 == hashlib.sha256(b"".join(content)).hexdigest()
    assert found.size == 5 * BLOCK + 3


def test_a_hole_and_zeros_are_the_same(tmp_path: Path) -> None:
    """So that the map does not depend on the file system under the image."""
    dense = map_disk(image(tmp_path, block(b"a"), bytes(1000 * BLOCK), block(b"z")))
    sparse = tmp_path / "sparse.img"
    with sparse.open("wb") as file:
        file.write(block(b"a"))
        file.seek(1001 * BLOCK)
        file.write(block(b"z"))
    assert map_disk(sparse) == dense


def test_an_empty_image_has_an_empty_map(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.touch()
    os.truncate(path, 8 * BLOCK)
    assert map_disk(path)[0].ranges == ()


def test_the_files_own_checksum_is_that_with_zeros_in_its_place() -> None:
    text = BlockMap(8192, (MappedRange(Span(0, 8192), "ab" * 32),)).render().decode()
    found = re.search(r"<BmapFileChecksum> ([0-9a-f]{64}) <", text)
    assert found
    assert hashlib.sha256(text.replace(found[1], "0" * 64).encode()).hexdigest() == found[1]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    written, _ = map_disk(image(tmp_path, block(b"a"), block(b"\0"), block(b"b"), block(b"c"), b"end"))
    content = written.render()
    assert BlockMap.parse(content) == written
    assert b"<BlocksCount> 5 <" in content and b"<MappedBlocksCount> 4 <" in content
