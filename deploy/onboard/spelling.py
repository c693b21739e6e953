"""What somebody who typed an unknown name most likely meant."""

from collections.abc import Iterable


def nearest_name(typed: str, valid: Iterable[str], *, always: bool = False) -> str | None:
    """The valid name that is most like `typed`. None when no name is like it, unless `always`."""
    import difflib  # no start of the service without a mistake waits for it

    near = difflib.get_close_matches(typed, list(valid), n=1, cutoff=0 if always else 0.6)
    return near[0] if near else None
