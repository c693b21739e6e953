"""Manifest and block map: what is refused, although it was signed."""

import json
from typing import Any

import pytest

from deploy.errors import BoardllamaError
from deploy.formats.block_map import BlockMap
from deploy.formats.image_manifest import ImageManifest

SHA256 = "0" * 64
FILE = {"name": "b.img.zst", "size": 10, "sha256": SHA256}
GOOD: dict[str, Any] = {
    "format": 1,
    "board": "qemu",
    "image": FILE,
    "bmap": {**FILE, "name": "b.bmap"},
    "disk": {"size": 1 << 30, "sha256": SHA256, "mapped": 4096},
    "boot_sectors": [[0, 17408], [32768, 8 << 20]],
    "identity": {"offset": 16 << 20, "size": 32 << 20},
    "release": "r1",
    "created": "2026-01-01T00:00:00+00:00",
}


def parsed_manifest(**values: Any) -> ImageManifest:
    """A good manifest with some values changed, parsed."""
    return ImageManifest.parse(json.dumps(GOOD | values).encode())


def test_what_it_says() -> None:
    found = parsed_manifest()
    assert found.image.name == "b.img.zst"
    assert found.boot_spans == ((0, 17408), (32768, 32768 + (8 << 20)))
    assert found.identity_span == (16 << 20, 48 << 20)
    assert parsed_manifest(identity=None).identity_span is None


def test_what_is_written_is_read_back() -> None:
    assert ImageManifest.parse(parsed_manifest().render()) == parsed_manifest()


def test_a_manifest_without_a_format_and_with_more_than_is_known_is_read() -> None:
    content = {**GOOD, "from_next_year": 1}
    del content["format"]
    assert ImageManifest.parse(json.dumps(content).encode()) == parsed_manifest()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"format": 2}, "has format 2, this boardllama reads 1"),
        ({"image": {**FILE, "name": "../../etc/shadow"}}, r"is damaged .*seen: '\.\./\.\./etc/shadow'"),
        ({"image": {**FILE, "name": ".."}}, "is damaged"),
        ({"image": {"name": "b.img.zst"}}, r"is damaged \(image.size: "),
        ({"disk": {"size": 1000}}, "must be a multiple of 512"),
        ({"boot_sectors": []}, "boot sectors"),
        ({"boot_sectors": [[1 << 30, 512]]}, "outside of the image"),
        ({"boot_sectors": [[0, 65 << 20]]}, "more than 64 MiB"),
        ({"boot_sectors": [0, 512]}, "is damaged"),
        ({"identity": {"offset": 1 << 30, "size": 4096}}, "outside of the image"),
        ({"identity": {"offset": 512, "size": 4096}}, "multiple of 4096"),
    ],
)
def test_a_manifest_that_cannot_be_flashed_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(BoardllamaError, match=words):
        parsed_manifest(**values)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"format": 1}'])
def test_something_else_is_one_line(content: bytes) -> None:
    with pytest.raises(BoardllamaError, match="is damaged"):
        ImageManifest.parse(content)


def parsed_map(
    ranges: str, size: int = 40960, block: int = 4096, kind: str = "sha256", version: str = ' version="2.0"'
) -> BlockMap:
    """A block map, parsed from what bmaptool writes."""
    return BlockMap.parse(
        f"""<?xml version="1.0" ?><bmap{version}><ImageSize> {size} </ImageSize><BlockSize> {block} </BlockSize>
        <ChecksumType> {kind} </ChecksumType><BlockMap>{ranges}</BlockMap></bmap>""".encode()
    )


def range_element(blocks: str) -> str:
    """The element of a range of blocks."""
    return f'<Range chksum="{SHA256}"> {blocks} </Range>'


def test_ranges_and_holes() -> None:
    found = parsed_map(range_element("0-1") + range_element("4"), size=40960)
    assert found.mapped_spans == [(0, 8192), (16384, 20480)]
    assert found.hole_spans == [(8192, 16384), (20480, 40960)]


def test_the_last_range_ends_with_the_image() -> None:
    assert parsed_map(range_element("9"), size=9 * 4096 + 512).mapped_spans == [(36864, 37376)]


@pytest.mark.parametrize("version", ["", ' version="1.4"', ' version="2.1"'])
def test_a_map_of_an_older_version_is_read(version: str) -> None:
    assert parsed_map(range_element("0-1"), version=version) == parsed_map(range_element("0-1"))


@pytest.mark.parametrize(
    "made",
    [
        lambda: parsed_map(""),
        lambda: parsed_map(range_element("0"), kind="sha1"),
        lambda: parsed_map(range_element("4") + range_element("0-1")),
        lambda: parsed_map(range_element("0-4") + range_element("4-5")),
        lambda: parsed_map(range_element("20")),
        lambda: parsed_map(range_element("0"), version=' version="3.0"'),
        lambda: parsed_map(range_element("0"), version=' version="two"'),
        lambda: parsed_map(range_element("x")),
        lambda: parsed_map("<Range> 0 </Range>"),
        lambda: parsed_map(range_element("0"), block=1000),
        lambda: BlockMap.parse(b"no XML"),
        lambda: BlockMap.parse(b"<bmap/>"),
    ],
)
def test_a_block_map_that_no_tool_writes_is_refused(made: Any) -> None:
    with pytest.raises(BoardllamaError, match="block map"):
        made()
