"""The published schemas are those of the code, and hold for the files that the code reads and writes."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from deploy.controller.files import sha256_of
from deploy.formats.block_map import BlockMap, BmapFile, MappedRange, file_elements
from deploy.formats.image_manifest import ImageManifest
from deploy.formats.spans import Span
from deploy.hosts.receipt import IDENTITY, TargetReceipt, receipt_format
from deploy.models import receipt
from deploy.onboard.identity import rules
from deploy.onboard.identity.boardllama_txt import Identity, parse_identity
from deploy.onboard.server.config_keys import KEYS
from deploy.onboard.server.value_rules import ADDRESS
from deploy.onboard.service import OLLAMA
from deploy.reference import schemas
from tests.unit.test_boardllama_txt import FULL
from tests.unit.test_image_formats import GOOD
from tests.unit.test_settings import told

SHA256 = "ab" * 32
TEXTS = [
    "",
    "x",
    "info",
    "text",
    "/srv",
    "m.gguf",
    ".m.gguf",
    "a/m.gguf",
    "127.0.0.1",
    "localhost",
    "chatml",
    "f16",
    "off",
    "none",
]
VALUES: list[Any] = [
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    0.5,
    10.5,
    1025,
    65536,
    1 << 25,
    *TEXTS,
    [],
    {},
    ["--seed"],
    [""],
    [1],
]


def published(name: str) -> Draft202012Validator:
    """The validator of a schema in docs/reference/schemas."""
    schema = json.loads((schemas.FOLDER / f"{name}.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def holds(name: str, value: Any) -> bool:
    """Whether the published schema holds for the value, as JSON has the value."""
    return bool(published(name).is_valid(json.loads(json.dumps(value))))


def identity_object(identity: Identity) -> dict[str, Any]:
    """The identity as the schema has it."""
    return {name: identity.values_of(name) if rules.NAMES[name].repeats else value for name, value in identity.entries}


def test_what_is_published_is_what_the_code_says() -> None:
    """`make docs` writes the schemas again."""
    there = {path: path.read_text() for path in schemas.FOLDER.glob("*.json")}
    assert there == schemas.schema_files(), "docs/reference/schemas differ: make docs"


def test_an_image_manifest() -> None:
    assert holds("image-manifest", GOOD)
    assert holds("image-manifest", json.loads(ImageManifest.parse(json.dumps(GOOD).encode()).render()))
    assert not holds("image-manifest", GOOD | {"format": 2})
    assert not holds("image-manifest", GOOD | {"boot_sectors": [[0]]})
    assert not holds("image-manifest", GOOD | {"image": {**GOOD["image"], "name": "../x"}})


def test_a_block_map() -> None:
    content = BlockMap(8192, (MappedRange(Span(4096, 8192), SHA256),)).render()
    read = BmapFile.model_validate(file_elements(content)).model_dump(mode="json", by_alias=True)
    assert holds("block-map", read)
    assert not holds("block-map", read | {"ChecksumType": "sha1"})


def test_receipts(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    assert receipt.is_verified(path, sha256_of(path), 4)
    written = json.loads((tmp_path / "model.gguf.receipt.json").read_text())
    assert holds("receipt", written) and not holds("receipt", written | {"version": 2})
    line = receipt_format(SHA256).replace(IDENTITY, "7 100 5.0").replace("%n", "/usr/lib/a b")
    read = TargetReceipt.parse(line)
    assert read and holds("target-receipt", read.model_dump())


def test_config_json() -> None:
    config = json.loads(told().config_json(OLLAMA))
    assert holds("config", config) and holds("config", {})
    assert not holds("config", {"server": {"prt": 1}})


@pytest.mark.parametrize(("section", "name"), [(section, name) for section, keys in KEYS.items() for name in keys])
def test_what_a_rule_of_config_json_takes_its_schema_takes_too(section: str, name: str) -> None:
    rule = KEYS[section][name].rule
    assert rule.schema
    validator = published("config")
    taken = {repr(value) for value in VALUES if validator.is_valid({section: {name: value}})}
    right = {repr(value) for value in VALUES if rule.holds(value)}
    # JSON Schema cannot say which text is an address.
    assert right <= taken if rule is ADDRESS else right == taken


def test_boardllama_txt() -> None:
    assert holds("boardllama-txt", identity_object(parse_identity(FULL)))
    assert holds("boardllama-txt", {})
    assert not holds("boardllama-txt", {"hostnme": "kitchen"})
    assert not holds("boardllama-txt", {"api_key": "short"})


@pytest.mark.parametrize("name", rules.NAMES)
def test_the_pattern_of_a_name_holds_for_its_example(name: str) -> None:
    rule = rules.NAMES[name]
    assert holds("boardllama-txt", {name: [rule.example] if rule.repeats else rule.example})
