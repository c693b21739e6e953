"""Texts of others in messages: what an unknown name most likely meant, and what a terminal must not obey."""

from collections.abc import Iterable

LONGEST = 100  # characters that are compared: the time for a comparison grows with the square of the length


def nearest_name(typed: str, valid: Iterable[str], *, always: bool = False) -> str | None:
    """The valid name that is most like `typed`. None when no name is like it, unless `always`."""
    import difflib  # no start of the service without a mistake waits for it

    near = difflib.get_close_matches(typed[:LONGEST], list(valid), n=1, cutoff=0 if always else 0.6)
    return near[0] if near else None


def printable_text(text: str) -> str:
    """The text in one line, with an escape in place of each sign that is not seen, or that a terminal obeys."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
