"""`python -m deploy.flash.labels --csv boards.csv`: stickers for the boards of the table that `make flash` takes.

The table is read and refused as `make flash` does it, so the same words on the command line hold here, too.
"""

import argparse
import sys
from pathlib import Path

from deploy.controller.verb_parser import verb_parser
from deploy.errors import BoardllamaError
from deploy.flash.identities import add_identity_options, identities_from_csv, told_values
from deploy.flash.label_sheet import STOCKS, BoardLabel, sheet_pdf, stock_named
from deploy.onboard.files import write_file
from deploy.onboard.service import OLLAMA
from deploy.paths import typed

PDF_MARK = b"%PDF-"
CSV_MISSING = f"say CSV=boards.csv: the table that {typed('flash')} takes for many cards"


def label_arguments() -> argparse.ArgumentParser:
    parser = verb_parser(
        "labels", "Prints stickers for boards: name, address, QR code.", "--csv boards.csv --to-file labels.pdf"
    )
    parser.add_argument("--csv", type=Path, help="the table of `make flash`")
    parser.add_argument("--to-file", type=Path, help="the PDF (beside the table, under its name)")
    parser.add_argument("--stock", default="L7160", help=f"the sheet: {', '.join(STOCKS)}")
    parser.add_argument("--start", default="1", help="the first sticker that is still on the sheet")
    parser.add_argument("--port", default=str(OLLAMA.port), help="of the web UI")
    add_identity_options(parser)
    return parser


def print_labels(words: list[str]) -> str:
    """Writes the PDF. Returns a line about it. Raises BoardllamaError before anything is written."""
    options = label_arguments().parse_args(words)
    if not options.csv:
        raise BoardllamaError(CSV_MISSING)
    stock = stock_named(options.stock)
    start, port = count_up_to("START", options.start, stock.count), count_up_to("PORT", options.port, 65535)
    labels = [BoardLabel.of_board(one, port) for one in identities_from_csv(options.csv, told_values(options))]
    path = options.to_file or options.csv.with_suffix(".pdf")
    replace_pdf(path, sheet_pdf(labels, stock, start - 1))
    pages = -(-(start - 1 + len(labels)) // stock.count)
    return (
        f"{path}: stickers: {len(labels)}, sheets of {options.stock} ({stock.title}): {pages}. "
        "Print it at 100 %, not fitted to the page"
    )


def count_up_to(name: str, text: str, most: int) -> int:
    """The number from 1 to `most` that the text is. Raises BoardllamaError."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise BoardllamaError(f"{name} is {text!r}: must be a whole number from 1 to {most}")
    return int(text)


def replace_pdf(path: Path, content: bytes) -> None:
    """Writes the file as a whole. Raises BoardllamaError for a place that takes none, or that holds something else."""
    try:
        if path.exists() and not path.read_bytes().startswith(PDF_MARK):
            raise BoardllamaError(f"{path} is there and no PDF: TO_FILE=… names another place")
        write_file(path, content)
    except OSError as error:
        raise BoardllamaError(f"{path} cannot be written ({error.strerror}): TO_FILE=… names another place") from None


if __name__ == "__main__":
    try:
        print(print_labels(sys.argv[1:]))
    except BoardllamaError as error:
        sys.exit(str(error))
