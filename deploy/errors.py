"""The one exception family of boardllama, and how a value stands in its messages."""

import re

LONGEST = 200  # characters of a value: most paths stand whole


class BoardllamaError(Exception):
    """Something a user can mend. The message is one line: what was seen, which rule it breaks, what to do.

    `verdict`: what became of the host that it happened to, in the table at the end of a run.
    """

    verdict = "failed"


class NotThere(BoardllamaError):
    """What an earlier stage of the run brings is missing, which means nothing until that stage has run."""


def shown(value: object) -> str:
    """The value as one short printable piece of a line, without the login of an address."""
    value = re.sub(r"//[^/@]*@", "//", value) if isinstance(value, str) else value
    text = repr(value) if ascii(value) == repr(value) or repr(value).isprintable() else ascii(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text) - 2} characters)"
