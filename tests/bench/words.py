"""Names that a user types for `make bench`."""

from deploy.errors import BoardllamaError, shown
from deploy.onboard.spelling import nearest_name


def chosen_names(words: str, known: tuple[str, ...], variable: str) -> tuple[str, ...]:
    """The names in `words`, between commas or spaces, in the table's order; all of them without a word.

    Raises BoardllamaError for a name that is not known.
    """
    asked = words.replace(",", " ").split()
    for name in asked:
        if name not in known:
            nearest = nearest_name(name, known)
            hint = f"did you mean {nearest}?" if nearest else f"known are {', '.join(known)}"
            raise BoardllamaError(f"{variable}={shown(name)} is not known: {hint}")
    return tuple(name for name in known if name in asked or not asked)
