"""The .txt files of this room and of the images: names, separated by blanks, with comments between them."""

from pathlib import Path


def read_words(path: Path) -> list[str]:
    """The words of a list, in order. # begins a comment, which ends with its line."""
    return [word for line in path.read_text().splitlines() for word in line.split("#")[0].split()]
