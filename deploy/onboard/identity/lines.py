"""The lines of boardllama.txt, whatever editor wrote them: a name, a value, the quotation marks around it. Pure."""

import codecs
import re
from typing import NamedTuple

from .rules import NAMES, Wrong

# Ends of lines that are no line feed: of old Macs, and of what was pasted from a page.
LINE_ENDS = re.compile("\r(?!\n)|[\x85\u2028\u2029]")
# Signs that some editors write for quotation marks. Inside a value they belong to it; around a value nobody means them.
ODD_QUOTES = "'`\u00ab\u00b4\u00bb\u2018\u2019\u201a\u201c\u201d\u201e"


class Entry(NamedTuple):
    """A name with its value. `line` counts from 1; 0: from no file."""

    line: int
    name: str
    value: str


def decode_file(content: bytes) -> str:
    """The text of a file as editors save it, with line feeds at its lines' ends.

    Bytes that are no UTF-8 become U+FFFD, which no value may hold.
    """
    return LINE_ENDS.sub("\n", content.decode(encoding_of(content), errors="replace"))


def encoding_of(content: bytes) -> str:
    """UTF-8 or UTF-16, which some editors write without its mark.

    The file begins in ASCII: without a mark, a 0 among its first two bytes says UTF-16, and of which byte order.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    zeros = content[:1] == b"\0", content[1:2] == b"\0"
    return {(False, True): "utf-16-le", (True, False): "utf-16-be"}.get(zeros, "utf-8-sig")


def parse_line(number: int, line: str) -> Entry:
    """The entry in a line. Raises Wrong without quoting the value: it may be a password."""
    name, equals, value = (part.strip() for part in line.partition("="))
    if not equals:
        raise Wrong(
            f"{first_word(name) if first_word(name) in NAMES else 'what stands here'} has no =: write name = value"
        )
    if has_comment(value) and first_word(name) != "ssh_key":  # whose own comment may hold anything
        raise Wrong(
            f'{first_word(name)}: a comment has a line of its own; what belongs to the value stands between " and "'
        )
    if is_oddly_quoted(value):
        raise Wrong(f'{first_word(name)} stands between {value[0]} and {value[-1]}: take them away, or write " instead')
    return Entry(number, name.lower(), unquote_value(value))


def first_word(name: str) -> str:
    """The name in what stands before the first =. More words there may be a password that holds a = itself."""
    return re.split(r"[^\w-]", name.lower(), maxsplit=1)[0][:40]


def quote_value(value: str) -> str:
    """The value, between quotation marks where blanks at its ends, or signs in it, would be lost or refused."""
    plain = value == value.strip() == unquote_value(value) and not is_oddly_quoted(value) and not has_comment(value)
    return value if plain else f'"{value}"'


def unquote_value(value: str) -> str:
    """The value without the quotation marks around it."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def has_comment(value: str) -> bool:
    """Whether someone may mean the end of the value as a comment: people write `DE  # Germany`."""
    return value == unquote_value(value) and re.search(r"(^|\s)#", value) is not None


def is_oddly_quoted(value: str) -> bool:
    """Whether the value stands between quotation marks of another kind, which mean nothing here."""
    return len(value) > 1 and value[0] in ODD_QUOTES and value[-1] in ODD_QUOTES
