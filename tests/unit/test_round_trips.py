"""What is written is read back, whatever it says."""

import ast
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.fleet.sharing.torrent import Value, bencode
from deploy.formats.block_map import BLOCK, BlockMap, MappedRange
from deploy.formats.identity_slot import SLOT_BYTES, slot_content
from deploy.formats.image_manifest import ImageManifest
from deploy.formats.spans import Span
from deploy.onboard.gateway.board_table import BoardEntry, BoardTable, ServedModel, table_from_json
from deploy.onboard.identity.boardllama_txt import Identity, parse_identity
from deploy.onboard.identity.lines import decode_file, parse_line, quote_value
from deploy.onboard.identity.partition import seal_copy, unseal_copy
from deploy.tune.group_data import docstring, edited_text, literal
from tests.unit.test_flash_identities import KEY
from tests.unit.test_image_formats import GOOD, SHA256

bounded = settings(max_examples=30, derandomize=True, deadline=None, database=None)
texts = st.text(max_size=40)
seen = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1, max_size=30)
ascii_texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8, max_size=63)
sizes = st.integers(0, 1 << 62)


@bounded
@given(
    seen.filter(lambda text: len(text.encode()) <= 32), ascii_texts, st.booleans(), st.sampled_from(["utf-8", "utf-16"])
)
def test_a_boards_identity(ssid: str, password: str, fixed: bool, encoding: str) -> None:
    told = [("hostname", "kitchen"), ("ssh_key", KEY), ("wifi_ssid", ssid)]
    told += [("wifi_password", password)] if password.lower() != "none" else []
    told += (
        [("address", "10.0.0.2/24"), ("gateway", "10.0.0.1"), ("dns", "10.0.0.1"), ("dns", "fd00::1")] if fixed else []
    )
    identity = Identity((*told, ("api_key", "a-key_of.8")))
    content = identity.render().encode(encoding)
    assert parse_identity(decode_file(content)) == identity
    assert parse_identity(decode_file(content.replace("\n".encode(encoding), "\r\n".encode(encoding)))) == identity


@bounded
@given(seen)
def test_a_value_of_boardllama_txt(value: str) -> None:
    line = f"wifi_ssid = {quote_value(value)}"
    assert parse_line(1, line).value == value


@bounded
@given(st.binary(max_size=300), sizes)
def test_the_copy_of_boardllama_txt_and_no_half_of_it(content: bytes, size: int) -> None:
    sealed = seal_copy(content, size)
    assert unseal_copy(sealed) == (content, size)
    assert all(unseal_copy(sealed[:cut]) is None for cut in range(len(sealed)))


@bounded
@given(st.text(max_size=1000))
def test_the_slot_of_boardllama_txt(text: str) -> None:
    content = slot_content(text)
    assert len(content) == SLOT_BYTES and content.rstrip(b"\n") == text.encode().rstrip(b"\n")


@bounded
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=20), st.integers(0, BLOCK - 1))
def test_a_block_map(runs: list[tuple[int, int]], short: int) -> None:
    ranges, at = [], 0
    for hole, count in runs:
        ranges.append(MappedRange(Span((at + hole) * BLOCK, (at + hole + count) * BLOCK), SHA256))
        at += hole + count
    last = ranges[-1]._replace(span=Span(ranges[-1].span.start, ranges[-1].span.end - short))
    found = BlockMap(last.span.end, (*ranges[:-1], last))
    assert BlockMap.parse(found.render()) == found


json_values = st.recursive(
    st.none() | st.booleans() | sizes | texts, lambda one: st.lists(one) | st.dictionaries(texts, one)
)


@bounded
@given(st.dictionaries(texts, json_values, max_size=4), texts)
def test_an_image_manifest(pins: dict[str, Any], release: str) -> None:
    found = ImageManifest.model_validate(GOOD | {"pins": pins, "release": release})
    assert ImageManifest.parse(found.render()) == found


@bounded
@given(texts, texts, st.integers(1, 65535), st.lists(st.builds(ServedModel, texts, texts, texts, sizes, st.booleans())))
def test_a_gateways_boards(name: str, key: str, port: int, offers: list[ServedModel]) -> None:
    table = BoardTable((BoardEntry(name, "10.0.0.2", port, key, tuple(offers)),), 1.5, 0.25, 600)
    assert table_from_json(table.to_json()) == table


@bounded
@given(texts, st.lists(texts), st.floats(allow_nan=False, allow_infinity=False) | sizes)
def test_group_data(text: str, words: list[str], number: float) -> None:
    values: dict[str, Any] = {"tuned_model": text, "models": words, "threads": number}
    begun = f'{docstring(text)}\nmodels = [  # ours\n    "a",\n]\ncpu = "auto"\n'
    edited = edited_text(begun, values)
    about, *rest = ast.parse(edited).body
    told = {ast.unparse(one.targets[0]): ast.literal_eval(one.value) for one in rest if isinstance(one, ast.Assign)}
    assert told == values | {"cpu": "auto"}
    assert isinstance(about, ast.Expr) and ast.literal_eval(about.value) == text
    assert ast.literal_eval(literal(text)) == text
    assert edited_text(edited, values) == edited


def bdecoded(data: bytes, at: int = 0) -> tuple[Value, int]:
    """The value that begins there, and where the next one does, by BEP 3."""
    if data[at : at + 1] == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if data[at : at + 1] not in (b"l", b"d"):
        colon = data.index(b":", at)
        end = colon + 1 + int(data[at:colon])
        return data[colon + 1 : end], end
    found, next_at = [], at + 1
    while data[next_at : next_at + 1] != b"e":
        one, next_at = bdecoded(data, next_at)
        found.append(one)
    if data[at : at + 1] == b"l":
        return found, next_at + 1
    return {
        key: value for key, value in zip(found[::2], found[1::2], strict=True) if isinstance(key, bytes)
    }, next_at + 1


bencoded_values = st.recursive(
    st.integers() | st.binary(), lambda one: st.lists(one) | st.dictionaries(st.binary(), one), max_leaves=20
)


@bounded
@given(bencoded_values)
def test_a_torrents_values(value: Value) -> None:
    encoded = bencode(value)
    assert bdecoded(encoded) == (value, len(encoded))
