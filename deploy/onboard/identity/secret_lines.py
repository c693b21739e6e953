"""Secrets leave boardllama.txt when the board has read them; a comment says what became of each. Pure."""

from .boardllama_txt import APPLIED, REFUSED, Identity, accepted_value, is_secret
from .lines import Entry, unquote_value
from .rules import Wrong


def without_secrets(text: str, identity: Identity) -> str:
    """The text with a comment in place of each line with a secret. `identity`: what was read from the text.

    A secret that is right, but waits for the mending of another line, stays: no other place has it.
    """
    lines = []
    for line in text.split("\n"):
        name, equals, value = line.partition("=")
        name = name.strip().lstrip("\ufeff").lower()
        if equals and is_secret(name) and (mark := mark_of_secret(identity, name, unquote_value(value.strip()))):
            line = mark.format(name=name) + ("\r" if line.endswith("\r") else "")
        lines.append(line)
    return "\n".join(lines)


def mark_of_secret(identity: Identity, name: str, value: str) -> str | None:
    """The comment in place of a secret; None for a secret that stays."""
    if identity.value_of(name) is not None:
        return APPLIED
    try:
        accepted_value(Entry(0, name, value), {})
    except Wrong:
        return REFUSED
    return None
