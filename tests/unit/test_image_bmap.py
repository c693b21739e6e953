"""The map of an image: what bmap tools read, and the same wherever the image lies."""

import hashlib
import os
import re
from pathlib import Path

from deploy.image import bmap
from deploy.image.bmap import BLOCK, BlockRange, ImageMap


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
    found = bmap.map_image(image(tmp_path, *content))
    assert [(part.first, part.last) for part in found.ranges] == [(0, 0), (2, 3), (5, 5)]
    assert found.ranges[1].sha256 == hashlib.sha256(content[2] + content[3]).hexdigest()
    assert found.sha256 == hashlib.sha256(b"".join(content)).hexdigest()
    assert (found.block_count, found.size) == (4, 5 * BLOCK + 3)


def test_a_hole_and_zeros_are_the_same(tmp_path: Path) -> None:
    """So that the map does not depend on the file system under the image."""
    dense = bmap.map_image(image(tmp_path, block(b"a"), bytes(1000 * BLOCK), block(b"z")))
    sparse = tmp_path / "sparse.img"
    with sparse.open("wb") as file:
        file.write(block(b"a"))
        file.seek(1001 * BLOCK)
        file.write(block(b"z"))
    assert bmap.map_image(sparse) == dense


def test_an_empty_image_has_an_empty_map(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.touch()
    os.truncate(path, 8 * BLOCK)
    assert bmap.map_image(path).ranges == ()


def test_the_files_own_checksum_is_that_with_zeros_in_its_place() -> None:
    text = ImageMap(8192, "0" * 64, (BlockRange(0, 1, "ab" * 32),)).render_xml()
    found = re.search(r"<BmapFileChecksum> ([0-9a-f]{64}) <", text)
    assert found
    assert hashlib.sha256(text.replace(found[1], "0" * 64).encode()).hexdigest() == found[1]
