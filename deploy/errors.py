"""The one exception family of boardllama, and how a value stands in its messages."""

import re

from deploy.onboard.spelling import printable_text

LONGEST = 200  # characters of a value: most paths stand whole
# The login of an address: all between // and the host. People write any character into a password, / and @ too.
LOGIN = re.compile(r"(?<=//)(?:[^/]*@(?!/)|[^/@:\[]*:(?!\d+(?:/|$)).*@)")


class BoardllamaError(Exception):
    """Something a user can mend. The message is one line: what was seen, which rule it breaks, what to do.

    `verdict`: the word for the host that the error happened to, in the table at the end of a run.
    """

    verdict = "failed"

    def __init__(self, message: object = "") -> None:
        # What others wrote stands in messages, and must not tell a terminal what to do.
        super().__init__("\n".join(map(printable_text, str(message).split("\n"))))


class NotThere(BoardllamaError):
    """A thing that an earlier stage of the same run brings is missing: no fault as long as that stage has not run."""


def without_login(address: str) -> str:
    """An address, which need not begin with http://, without its user and password."""
    return LOGIN.sub("", address) if "//" in address else address.rpartition("@")[2]


def shown(value: object) -> str:
    """The value as one short printable piece of a line, without the login of an address."""
    value = LOGIN.sub("", value) if isinstance(value, str) else value
    text = repr(value) if ascii(value) == repr(value) or repr(value).isprintable() else ascii(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text) - 2} characters)"
