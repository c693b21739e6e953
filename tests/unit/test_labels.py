"""`make labels`: stickers, judged as a person and a phone read them: rendered, and read back from the picture."""

import base64
import re
import subprocess
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import zxingcpp

from deploy.errors import BoardllamaError
from deploy.flash.__main__ import flash_cards
from deploy.flash.label_sheet import STOCKS, BoardLabel, LabelStock, sheet_pdf
from deploy.flash.labels import print_labels
from deploy.onboard.identity.boardllama_txt import Identity
from deploy.paths import REPO
from tests.unit.test_flash_identities import write_table

DPI = 200  # of a cheap printer
# Names and addresses as long as they can be, and the shortest.
HARD = [
    Identity((("hostname", "m" * 63),)),
    Identity((("hostname", "a"), ("address", "10.0.0.1/8"))),
    Identity((("hostname", "-".join(["board"] * 10)), ("address", "2001:db8:1234:5678:9abc:def0:1234:5678/64"))),
    Identity((("hostname", "w" * 31 + "-" + "w" * 31), ("address", "255.255.255.251/24"))),
    Identity((("hostname", "attic"), ("address", "fe80::1/64"))),
]
SECRET, KEY = "correct horse battery", "sk-sticker-0123456789"


def box_of(stock: LabelStock, place: int) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a sticker, in points."""
    left, bottom = stock.corner(place)
    return left, bottom, left + stock.size[0], bottom + stock.size[1]


def text_in(page: Any, box: tuple[float, float, float, float]) -> str:
    """All signs whose ink lies in the box, without blanks. PDFium reads a hyphen that ends a line as another sign."""
    text = page.get_textpage()
    inside = []
    for number in range(text.count_chars()):
        left, bottom, right, top = text.get_charbox(number)
        if box[0] <= left and box[1] <= bottom and right <= box[2] and top <= box[3]:
            inside.append(text.get_text_range(number, 1))
    return re.sub(r"\s", "", "".join(inside)).replace("\ufffe", "-")


def codes_in(page: Any, stock: LabelStock, place: int) -> list[str]:
    """What a phone that is held over the sticker reads."""
    scale = DPI / 72
    left, bottom, right, top = box_of(stock, place)
    corners = (left, stock.page[1] - top, right, stock.page[1] - bottom)
    picture = page.render(scale=scale).to_pil().crop(tuple(int(corner * scale) for corner in corners))
    return [code.text for code in zxingcpp.read_barcodes(picture)]


@pytest.mark.parametrize("name", STOCKS)
def test_each_sticker_is_read_back_and_nothing_leaves_it(name: str) -> None:
    stock = STOCKS[name]
    labels = [BoardLabel.of_board(identity, 11434) for identity in HARD]
    (page,) = pypdfium2.PdfDocument(sheet_pdf(labels, stock))
    for place, label in enumerate(labels):
        assert text_in(page, box_of(stock, place)) == "".join([label.name, *label.address.split(), label.url])
        assert codes_in(page, stock, place) == [label.url]


@pytest.mark.parametrize("name", STOCKS)
def test_stickers_lie_on_their_sheet_and_not_on_each_other(name: str) -> None:
    stock = STOCKS[name]
    boxes = [box_of(stock, place) for place in range(stock.count)]
    for left, bottom, right, top in boxes:
        assert left >= 0 and bottom >= 0 and right <= stock.page[0] and top <= stock.page[1]
    rows = [boxes[place : place + stock.columns] for place in range(0, stock.count, stock.columns)]
    assert all(first[2] <= second[0] for row in rows for first, second in pairwise(row))
    assert all(upper[0][1] >= lower[0][3] - 0.01 for upper, lower in pairwise(rows))


def test_what_the_code_opens() -> None:
    assert [BoardLabel.of_board(identity, 80).url for identity in HARD] == [
        f"http://{'m' * 63}.local:80/",
        "http://10.0.0.1:80/",
        "http://[2001:db8:1234:5678:9abc:def0:1234:5678]:80/",
        "http://255.255.255.251:80/",
        "http://attic.local:80/",  # an address of the link alone opens in no browser
    ]


def test_many_boards_take_several_sheets_and_a_sheet_may_be_begun(tmp_path: Path) -> None:
    path = write_table(tmp_path, "hostname\n" + "".join(f"board-{number}\n" for number in range(50)))
    said = print_labels(["--csv", str(path), "--start", "21", "--stock", "L7160"])
    assert said.startswith(f"{tmp_path}/boards.pdf: stickers: 50, sheets of L7160 (A4, 63.5 x 38.1 mm): 4. ")
    pages = list(pypdfium2.PdfDocument(tmp_path / "boards.pdf"))
    found = [text_in(page, (0, 0, *STOCKS["L7160"].page)).count("http://board-") for page in pages]
    assert found == [1, 21, 21, 7]
    assert codes_in(pages[0], STOCKS["L7160"], 20) == ["http://board-0.local:11434/"]
    assert codes_in(pages[3], STOCKS["L7160"], 6) == ["http://board-49.local:11434/"]


def test_no_secret_and_no_network_gets_onto_a_sticker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = f"kitchen,workshop-net,{SECRET},{KEY}\nattic,workshop-net,,\n"
    path = write_table(tmp_path, f"hostname,wifi_ssid,wifi_password,api_key\n{rows}")
    monkeypatch.setenv("BOARDLLAMA_WIFI_PASSWORD", "from-the-environment")
    print_labels(["--csv", str(path), "--from-environment", "wifi_password"])
    content = (tmp_path / "boards.pdf").read_bytes()
    for secret in (SECRET, KEY, "from-the-environment", "workshop-net"):
        assert secret.encode() not in content + drawn_bytes(content)
    assert b"(kitchen) Tj" in drawn_bytes(content), "so a secret would be seen here"


def drawn_bytes(pdf: bytes) -> bytes:
    """The drawing of all pages, as PDF has it below its compression and its letters."""
    streams = re.findall(rb"stream\r?\n(.*?)~>\s*endstream", pdf, re.DOTALL)
    return b"".join(zlib.decompress(base64.a85decode(stream)) for stream in streams)


@pytest.mark.parametrize(
    "text",
    [
        "name\nkitchen\n",
        "hostname,adress\nkitchen,dhcp\n",
        "hostname\nkitchen\nkitchen\n",
        "hostname,wifi_ssid\nkitchen,home\n",
        'hostname,wifi_password\na,"horse battery\n',
        "hostname,address\none,nonsense\n",
    ],
)
def test_a_wrong_table_is_refused_in_the_words_of_make_flash(tmp_path: Path, text: str) -> None:
    path = write_table(tmp_path, text)
    said = []
    for command in (flash_cards, print_labels):
        with pytest.raises(BoardllamaError) as caught:
            command(["--csv", str(path)])
        said.append(str(caught.value))
    assert said[0] == said[1] and said[0].startswith(f"CSV={path}")
    assert not (tmp_path / "boards.pdf").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--start", "22"], "START is '22': must be a whole number from 1 to 21"),
        (["--start", "0"], "START is '0'"),
        (["--port", "70000"], "PORT is '70000': must be a whole number from 1 to 65535"),
        (["--stock", "L7161"], "STOCK is 'L7161': did you mean L7160? Valid: L7160 (A4, 63.5 x 38.1 mm)"),
        (["--to-file", "/proc/labels.pdf"], "/proc/labels.pdf cannot be written"),
    ],
)
def test_what_no_sheet_can_be_made_with(tmp_path: Path, words: list[str], said: str) -> None:
    with pytest.raises(BoardllamaError) as caught:
        print_labels(["--csv", str(write_table(tmp_path, "hostname\nkitchen\n")), *words])
    assert said in str(caught.value)


def test_only_an_earlier_sheet_is_overwritten(tmp_path: Path) -> None:
    path, letter = write_table(tmp_path, "hostname\nkitchen\n"), tmp_path / "letter.pdf"
    letter.write_text("Dear")
    with pytest.raises(BoardllamaError, match="is there and no PDF"):
        print_labels(["--csv", str(path), "--to-file", str(letter)])
    assert letter.read_text() == "Dear"
    print_labels(["--csv", str(path)])
    first = (tmp_path / "boards.pdf").read_bytes()
    print_labels(["--csv", str(path)])
    assert (tmp_path / "boards.pdf").read_bytes() == first, "the same boards give the same bytes"


def test_make_says_which_table_is_missing_and_hands_on_what_flash_takes(tmp_path: Path) -> None:
    with pytest.raises(BoardllamaError, match="the table that `make flash` takes"):
        print_labels([])
    command = ["make", "-C", str(REPO), "-n", "labels", "CSV=my boards.csv", "STOCK=5160", "API_KEY=sk-12345678"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "--csv 'my boards.csv'" in told and "--stock '5160'" in told
    assert "--from-environment api_key" in told and "sk-12345678" not in told
