"""A page of docs/ as data: its blocks by name, and its tables."""

import re


def page_blocks(page: str, *languages: str) -> dict[str, str]:
    """The blocks of those languages, by the name in the comment on the line before; nameless ones by their text."""
    kinds = "|".join(languages)
    found = re.findall(rf"(?:^<!-- run: ([a-z-]+) -->\n)?^```(?:{kinds})\n(.*?)^```$", page, re.M | re.S)
    return {name or block: block for name, block in found}


def page_table(page: str, first_cell: str) -> list[list[str]]:
    """The cells of the rows below the table head that begins with `first_cell`."""
    _, _, rest = page.partition(f"\n| {first_cell} |")
    rows = rest.split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
