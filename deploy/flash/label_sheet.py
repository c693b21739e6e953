"""A PDF of stickers: on each a board's name, its address, and a QR code that opens its web UI.

A sheet is data, so that another one is a row. A text never leaves its sticker: it is broken into lines, and printed
smaller until the lines fit. The same boards give the same bytes.
"""

import io
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import segno
from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from deploy.errors import BoardllamaError, shown
from deploy.onboard.identity.boardllama_txt import Identity
from deploy.onboard.identity.rules import DHCP
from deploy.onboard.server.config import host_port
from deploy.onboard.spelling import nearest_name

PLAIN, BOLD = "Helvetica", "Helvetica-Bold"  # every PDF reader has them; host names and addresses are ASCII
MARGIN = 2 * mm  # printers miss the sticker by up to a millimetre
QUIET = 4  # modules of white around a QR code: ISO/IEC 18004
LEADING = 1.2  # from one line to the next, in font sizes
SHRINK = 0.95
NARROW = 0.7  # of its size is how much smaller a text may be to stay in one line
BREAKS = "-.:/"


@dataclass(frozen=True)
class LabelStock:
    """A sheet of stickers. Lengths in points: of a sticker, from one to the next, and from the sheet's edges."""

    title: str
    page: tuple[float, float]
    columns: int
    rows: int
    size: tuple[float, float]
    step: tuple[float, float]
    left: float
    top: float

    @property
    def count(self) -> int:
        """Stickers of a sheet."""
        return self.columns * self.rows

    def corner(self, place: int) -> tuple[float, float]:
        """The lower left corner of a sticker, from that of the sheet. Places count from 0, along the rows."""
        row, column = divmod(place, self.columns)
        return self.left + column * self.step[0], self.page[1] - self.top - row * self.step[1] - self.size[1]


def avery_a4(rows: int, height: float) -> LabelStock:
    """A sheet of three columns of stickers 63.5 mm wide, whose rows touch. `height`: of a sticker, in mm."""
    return LabelStock(
        title=f"A4, 63.5 x {height} mm",
        page=A4,
        columns=3,
        rows=rows,
        size=(63.5 * mm, height * mm),
        step=(66.04 * mm, height * mm),
        left=7.21 * mm,
        top=(297 - rows * height) / 2 * mm,
    )


# By the numbers that their maker, Avery, gave them, and with the sizes of its templates; others print the same sheets.
STOCKS = {
    "L7160": avery_a4(7, 38.1),
    "L7159": avery_a4(8, 33.9),
    "5160": LabelStock("US Letter, 2 5/8 x 1 in", LETTER, 3, 10, (189, 72), (198, 72), 13.5, 36),
}


@dataclass(frozen=True)
class BoardLabel:
    """What a sticker says. Nothing of it is a secret: whoever sees the board may read it."""

    name: str
    address: str
    url: str

    @staticmethod
    def of_board(identity: Identity, port: int) -> "BoardLabel":
        """The sticker of a board whose host name is told. Without a fixed address the name leads to the web UI."""
        name, told = identity.hostname or "", identity.address
        if told is None or told == DHCP:
            return BoardLabel(name, "by DHCP", f"http://{name}.local:{port}/")
        own = ipaddress.ip_interface(told).ip
        if own.is_link_local:  # a browser would have to name the network card, too
            return BoardLabel(name, str(own), f"http://{name}.local:{port}/")
        return BoardLabel(name, str(own), f"http://{host_port(str(own), port)}/")


def stock_named(name: str) -> LabelStock:
    """The sheet of that name. Raises BoardllamaError with all names."""
    if name not in STOCKS:
        known = ", ".join(f"{one} ({stock.title})" for one, stock in STOCKS.items())
        near = nearest_name(name, STOCKS)
        raise BoardllamaError(f"STOCK is {shown(name)}{f': did you mean {near}?' if near else ''} Valid: {known}")
    return STOCKS[name]


def sheet_pdf(labels: Sequence[BoardLabel], stock: LabelStock, used: int = 0) -> bytes:
    """The PDF of the stickers, on as many pages as they take; `used` stickers of the first sheet are gone."""
    content = io.BytesIO()
    canvas = Canvas(content, pagesize=stock.page, invariant=1)
    canvas.setTitle("boardllama labels")
    for place, label in enumerate(labels, used):
        if place % stock.count == 0 and place > used:
            canvas.showPage()
        draw_label(canvas, label, *stock.corner(place % stock.count), *stock.size)
    canvas.save()
    return content.getvalue()


def draw_label(canvas: Canvas, label: BoardLabel, left: float, bottom: float, width: float, height: float) -> None:
    """Draws the sticker at these points: the code on its left, the texts beside the code."""
    side = height - 2 * MARGIN
    draw_code(canvas, label.url, left + MARGIN, bottom + MARGIN, side)
    texts = [(label.name, BOLD, 14.0), (label.address, PLAIN, 9.0), (label.url, PLAIN, 8.0)]
    lines = fitting_lines(texts, width - side - 2 * MARGIN, side)
    total = sum(size * LEADING for _, _, size in lines)
    top = bottom + (height + total) / 2
    for text, font, size in lines:
        top -= size * LEADING
        canvas.setFont(font, size)
        canvas.drawString(left + MARGIN + side, top + size * (LEADING - 1), text)


def draw_code(canvas: Canvas, url: str, left: float, bottom: float, side: float) -> None:
    """Draws the QR code of the address, with its quiet zone, as a square of `side` points."""
    rows = [list(row) for row in segno.make_qr(url, error="m").matrix_iter(border=QUIET)]
    module = side / len(rows)
    for number, row in enumerate(rows, 1):
        for begin, end in dark_runs(row):
            canvas.rect(left + begin * module, bottom + side - number * module, (end - begin) * module, module, 0, 1)


def dark_runs(row: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where each run of dark modules begins and ends. One rectangle for a run: between two there could be a gap."""
    begin = None
    for place, dark in enumerate([*row, 0]):
        if dark and begin is None:
            begin = place
        elif not dark and begin is not None:
            yield begin, place
            begin = None


def fitting_lines(texts: Sequence[tuple[str, str, float]], width: float, height: float) -> list[tuple[str, str, float]]:
    """The texts, each with its font and size, as lines that fit into the box: smaller where they have to be."""
    factor = 1.0
    while True:
        sized = [(text, font, line_size(text, font, size * factor, width)) for text, font, size in texts]
        lines = [(line, font, size) for text, font, size in sized for line in broken_lines(text, font, size, width)]
        if sum(size * LEADING for _, _, size in lines) <= height:
            return lines
        factor *= SHRINK


def line_size(text: str, font: str, size: float, width: float) -> float:
    """The size at which the text fills one line at most, but not less than NARROW of `size`."""
    return float(size * max(NARROW, min(1.0, width / stringWidth(text, font, size))))


def broken_lines(text: str, font: str, size: float, width: float) -> Iterator[str]:
    """The text as lines of at most `width` points. A line ends behind one of BREAKS, where its second half has one."""
    width += 0.01  # a text that was made to fit must fit
    while stringWidth(text, font, size) > width:
        end = next(end for end in range(len(text), 0, -1) if end == 1 or stringWidth(text[:end], font, size) <= width)
        cut = max(text.rfind(sign, 0, end) for sign in BREAKS) + 1
        end = cut if cut > end // 2 else end
        yield text[:end]
        text = text[end:]
    yield text
