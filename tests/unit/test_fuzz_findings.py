"""Inputs that once broke a reader: by an error of another kind, by time, by memory, or by what a terminal was told."""

import io
import json
import re
import tarfile
from typing import Any

import pytest

from deploy.errors import BoardllamaError
from deploy.fleet.bundle.bundle_file import LIST
from deploy.onboard.ollama.options import sampling_of
from deploy.onboard.wire.message import Declined
from deploy.paths import REPO
from deploy.tune.group_data import edited_text
from tests.fuzz.file_readers import superblock_example
from tests.fuzz.fleet_readers import TIME
from tests.fuzz.reader import bounds, deadline, judge_input
from tests.fuzz.readers import READERS
from tests.fuzz.talk_readers import ask_tracker, request
from tests.unit.made_offer import KIND
from tests.unit.test_image_formats import GOOD, SHA256
from tests.unit.test_tuned_settings import outcome

DEEP = b"[" * 100_000
DIGITS = b"9" * 5000
CSV = b"hostname,ssh_key,timezone\n"
MAP = b'<bmap version="2.0"><ImageSize>8192</ImageSize><BlockSize>4096</BlockSize><ChecksumType>sha256</ChecksumType>'


def block_map(blocks: bytes) -> bytes:
    return MAP + b'<BlockMap><Range chksum="%b">%b</Range></BlockMap></bmap>' % (SHA256.encode(), blocks)


def tuned(**values: Any) -> bytes:
    """What a board answers to `make tune`, with some values of its own."""
    return json.dumps({"result": {**json.loads(outcome().model_dump_json()), **values}}).encode()


def prometheus(value: object, **labels: str) -> bytes:
    rows = [{"metric": {"board": "kitchen", "alertname": "a", **labels}, "value": [1, value]}]
    return json.dumps({"data": {"result": rows}}).encode()


def left(**told: object) -> bytes:
    return json.dumps({"boards": {"kitchen": told}}).encode()


def tar_of(kind: bytes) -> bytes:
    """A tar whose list is no plain file."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        member = tarfile.TarInfo(LIST)
        member.type, member.linkname = kind, "nowhere"
        archive.addfile(member)
    return file.getvalue()


REPORT = {"board": "\x1b[2J", "kind": KIND, "release": "r1", "created": TIME, "good": False, "reason": "it hangs"}
FOUND: list[tuple[str, bytes]] = [
    *((name, DEEP) for name in ("image-manifest", "config.json", "card-results", "channel-told", "hub-licence")),
    *((name, DEEP) for name in ("gateway-boards", "monitor-page", "tune-answer", "group-data")),
    ("config.json", b'{"server": {"port": %b}}' % DIGITS),
    ("config.json", b'{"models": {"chat_template": "messages\\u0000"}}'),
    ("config.json", b'{"models": {"chat_template": "messages\\ud800"}}'),
    ("config.json", b'{"server": {"\\u001b[2J": 1}}'),
    ("api-key", b"\xff\xfe\n"),
    ("csv", CSV + b"hall,/dev/zero,\n"),
    ("csv", CSV + b"hall,/dev/stdin,\n"),
    ("csv", CSV + b"hall,/tmp/\0,\n"),
    ("csv", CSV + b"hall,/tmp/\x1b[2J,\n"),
    ("csv", CSV + b"hall,,Europe/" + b"<a>" * 9000 + b"\n"),
    ("csv", CSV + b"hall,,Europe/Berlim\n" * 3000),
    ("csv", b"hostname\n" + b"hall\n" * 12_000),
    ("boardllama.txt", b"dns = 10.0.0.1\n" * 4300),
    ("boardllama.txt", b"timezone = Europe/Berli\n" * 2700),
    ("boardllama.txt", b"timezone = " + b"a.b/" * 9000),
    ("image-manifest", json.dumps(GOOD | {"format": "\x1b[2J"}).encode()),
    ("block-map", b'<?xml version="1.0" encoding="utfInfinity"?><bmap/>'),
    ("block-map", block_map(DIGITS)),
    ("block-map", MAP.replace(b'"2.0"', b'"%b"' % DIGITS) + b"</bmap>"),
    ("superblock", superblock_example()[: 1024 + 0x18] + b"\xff" * 4 + superblock_example()[1024 + 0x1C :]),
    ("report-receiver", request("POST", "/", REPORT, **{"Content-Length": "9" * 5000})),
    ("board-reports", json.dumps(REPORT).encode()),
    ("tracker", b"GET /announce?info_hash=%01%02aaaaaaaaaaaaaaaaaa&port=70000 HTTP/1.0\r\n\r\n"),
    ("tracker", b"GET /announce?info_hash=%01%02aaaaaaaaaaaaaaaaaa&port=-1 HTTP/1.0\r\n\r\n"),
    *(("hub-licence", answer) for answer in (b"[]", b'"a"', b"{}", b'{"id": "o/n", "cardData": [1]}', b"{")),
    *(("monitor-page", prometheus(value)) for value in ("+Inf", "1e18", "-1e300")),
    *(("monitor-page", answer) for answer in (b"[]", b'{"data": 1}', b'{"boards": {"kitchen": "a"}}')),
    *(("monitor-page", left(when=value)) for value in ("a", float("nan"), 10**400, [1])),
    ("monitor-page", left(tokens_per_second="fast")),
    *(("tune-answer", answer) for answer in (b"null", b"1", b'"a"', b"[]", b"{}", b'{"refused": "\\u001b[2J"}')),
    ("tune-answer", tuned(model="'+f('x')+'")),
    ("tune-answer", tuned(board='"""\nimport os\n"""')),
    ("tune-answer", tuned(board="\x1b[2J")),
    ("tune-answer", tuned(costs=["\u2028"])),
    ("tune-answer", tuned(bytes_per_token=0)),
    ("tune-answer", tuned(bandwidth=10**400)),
    ("tune-answer", tuned(last={"name": "last", "applies": True, "winner": "another", "rows": []})),
    *(("bundle", tar_of(kind)) for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)),
    ("settings", b'{"models": ["smok\\ne"]}'),
    ("ollama-body", b'{"model": "smollm2-135m", "messages": [{"role": "user"}], "options": {"num_predict": 1e999}}'),
]


@pytest.mark.parametrize(("name", "data"), FOUND, ids=[f"{name}-{number}" for number, (name, _) in enumerate(FOUND)])
def test_what_once_broke_a_reader_breaks_none_again(name: str, data: bytes) -> None:
    with READERS[name].surroundings(), bounds(), deadline():
        judge_input(READERS[name], data)


def test_json_of_others_is_read_by_one_function() -> None:
    """json.loads raises two kinds of error for a text that is none, and one of them is rarely thought of."""
    found = [
        f"{path.relative_to(REPO)}:{number}"
        for path in sorted((REPO / "deploy").rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"\bjson\.loads?\(", line)
    ]
    # fetch.py runs on a builder, alone.
    assert [place.partition(":")[0] for place in found] == ["deploy/build/fetch.py", "deploy/onboard/json_parts.py"], (
        f"parse_json of deploy/onboard/json_parts.py is what reads JSON: {found}"
    )


def test_no_error_tells_a_terminal_what_to_do() -> None:
    assert str(BoardllamaError("a\x1b[2J\u202eb: é\nnext")) == "a\\x1b[2J\\u202eb: é\nnext"


def test_a_port_that_is_none_takes_the_others_from_nobody() -> None:
    ask_tracker(b"GET /announce?info_hash=%01%02aaaaaaaaaaaaaaaaaa&port=70000 HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 10**400])
def test_an_endless_number_is_no_option(value: float) -> None:
    with pytest.raises(Declined, match="must be a number"):
        sampling_of({"num_predict": value})


@pytest.mark.parametrize("value", ["'", "a'+f()+'b", '"', "\\'\"", "\n", "it's", "a"])
def test_what_a_board_says_stays_a_text_in_an_inventory(value: str) -> None:
    told: dict[str, Any] = {}
    exec(edited_text("", {"tuned_model": value}), told)
    assert told["tuned_model"] == value
