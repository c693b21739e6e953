"""The identities of cards: from options, or one from each row of a CSV file."""

import argparse
import csv
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from deploy.controller.progress import say_line
from deploy.errors import BoardllamaError
from deploy.onboard.files import error_reason
from deploy.onboard.identity.boardllama_txt import Identity, IdentityError, identity_of
from deploy.onboard.identity.rules import DHCP, NAMES, Wrong, valid_ssh_key
from deploy.onboard.spelling import printable_text

Value = tuple[str, str]
MOST_BYTES = 1 << 16  # of a file of keys
MOST_SAID = 20  # problems of a table
HARD_BLANK = "\ue000"  # stands for a blank in quotation marks, which belongs to the value


def add_identity_options(parser: argparse.ArgumentParser) -> None:
    """Adds an option for each name of boardllama.txt, and another for values that stand in a variable."""
    parser.add_argument(
        "--from-environment",
        action="append",
        default=[],
        choices=NAMES,
        metavar="NAME",
        help="take that value from the variable BOARDLLAMA_NAME: a command line is no place for a secret",
    )
    for name, rule in NAMES.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, action="append", default=[], help=rule.about, metavar="…")


def told_values(options: argparse.Namespace) -> list[Value]:
    """What the options say of boards, with the keys of key files. Raises BoardllamaError."""
    given = [(name, value) for name in NAMES for value in getattr(options, name)]
    return expand_key_files(given + [(name, value_from_environment(name)) for name in options.from_environment])


def value_from_environment(name: str) -> str:
    """The value of the variable BOARDLLAMA_<NAME>. Raises BoardllamaError when it is not set.

    The prefix keeps the secrets of other programs off the card: many of them export an API_KEY.
    """
    variable = f"BOARDLLAMA_{name.upper()}"
    if variable not in os.environ:
        raise BoardllamaError(f"--from-environment {name}: there is no variable {variable}")
    say_line(f"{name} is the one of the variable {variable}")
    return os.environ[variable]


def identity_from_options(values: Sequence[Value]) -> Identity | None:
    """The identity that the options give; None when they give none. Raises BoardllamaError."""
    try:
        return identity_of(*values) if values else None
    except IdentityError as error:
        raise BoardllamaError(f"the identity is wrong: {error}") from None


def expand_key_files(values: Sequence[Value]) -> list[Value]:
    """The values, with the keys in a file in place of each ssh_key that names the file. Raises BoardllamaError."""
    found: list[Value] = []
    for name, value in values:
        if name == "ssh_key" and " " not in value.strip():
            found += [(name, key) for key in read_public_keys(value)]
        else:
            found.append((name, value))
    return found


def read_public_keys(path: str) -> list[str]:
    """The public keys of a file, whose path may begin with ~. Raises BoardllamaError."""
    shown = printable_text(path)
    try:
        file = Path(path).expanduser()
        # A table of cards may name any file: what does not end would fill the memory, and a pipe would be waited for.
        if not file.is_file() or file.stat().st_size > MOST_BYTES:
            raise ValueError("no file of a few keys")
        lines = [line.strip() for line in file.read_text().splitlines()]
    except (OSError, RuntimeError, ValueError) as error:
        raise BoardllamaError(f"SSH_KEY={shown} is no key and no file with one ({error_reason(error)})") from None
    if any("PRIVATE KEY" in line for line in lines):
        raise BoardllamaError(f"SSH_KEY={shown} is a private key: give the public one, {shown}.pub")
    if not (keys := [line for line in lines if line and not line.startswith("#")]):
        raise BoardllamaError(f"SSH_KEY={shown} holds no key: nobody could log in with it")
    return [whole_key(key, shown) for key in keys]


def whole_key(line: str, path: str) -> str:
    """The public key in a line of a file. Raises BoardllamaError, which does not show the line: it may be a secret."""
    try:
        return valid_ssh_key(line)
    except Wrong as error:
        raise BoardllamaError(f"SSH_KEY={path} holds a line that is no public key: {error}") from None


def identities_from_csv(path: Path, common: Sequence[Value]) -> list[Identity]:
    """One identity per row. The first row names the columns, and may name one several times.

    `common` holds where a cell is empty. Raises BoardllamaError that names the first MOST_SAID wrong rows: nothing is
    written before all rows are right.
    """
    try:
        table = parse_cells(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise BoardllamaError(f"CSV={path} is not UTF-8: save it as CSV UTF-8") from None
    except (OSError, csv.Error) as error:
        raise BoardllamaError(f"CSV={path} cannot be read ({error_reason(error)})") from None
    if len(table) < 2 or "hostname" not in [name.strip() for name in table[0]]:
        raise BoardllamaError(
            f"CSV={path}: the first line names the columns ({', '.join(NAMES)}); hostname must be one"
        )
    found, problems = [], []
    for number, cells in enumerate(table[1:], 2):
        try:
            if any(cells):
                found.append(identity_from_row(table[0], cells, common))
        except (IdentityError, BoardllamaError) as error:
            problems.append(f"line {number}: {error}")
            if len(problems) == MOST_SAID:
                break
    names = Counter(identity.hostname or "" for identity in found)
    problems += [f"{name} is there {count} times" for name, count in sorted(names.items()) if count > 1]
    fixed = Counter(identity.address for identity in found if identity.address not in (None, DHCP))
    problems += [f"{count} cards have the address {own}" for own, count in fixed.items() if count > 1]
    if problems:
        raise BoardllamaError(f"CSV={path}: {'; '.join(problems[:MOST_SAID])}")
    return found


def parse_cells(text: str) -> list[list[str]]:
    """The cells of each row. Blanks around a cell are gone, blanks in its quotation marks are kept. Raises csv.Error.

    A row is one line: a quotation mark too many would otherwise join the boards behind it into one.
    """
    lines = re.sub(r'"[^"\r\n]*"', lambda quoted: quoted[0].replace(" ", HARD_BLANK), text).splitlines()
    found: list[list[str]] = []
    for number, line in enumerate(lines, 1):
        try:
            found += csv.reader([line], delimiter=";" if ";" in lines[0] else ",", strict=True) if line else [[]]
        except csv.Error as error:
            raise csv.Error(f"line {number}: {error}; a quotation mark in a value is written twice") from None
    return [[cell.strip().replace(HARD_BLANK, " ") for cell in cells] for cells in found]


def identity_from_row(header: Sequence[str], cells: Sequence[str], common: Sequence[Value]) -> Identity:
    """The identity of one row; `common` holds where a cell is empty. Raises IdentityError, BoardllamaError."""
    if len(cells) > len(header):
        raise BoardllamaError(f"it has {len(cells)} cells and the first line {len(header)}: quote values with commas")
    filled = [(name.strip(), value) for name, value in zip(header, cells, strict=False) if value.strip()]
    own = [(name, value if name == "wifi_password" else value.strip()) for name, value in filled]
    given = {name for name, _ in own}
    if "hostname" not in given:
        raise BoardllamaError("hostname is empty: every card needs one")
    return identity_of(*expand_key_files([*own, *(value for value in common if value[0] not in given)]))
