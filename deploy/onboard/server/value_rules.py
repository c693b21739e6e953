"""The rules that values of config.json obey, each in words, as a test and as a JSON Schema."""

import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

# Bytes of a path, and of a name between two of its slashes: limits.h of Linux.
PATH_MAX, NAME_MAX = 4095, 255
# Characters, each up to four bytes: Linux takes arguments up to 128 KiB (MAX_ARG_STRLEN).
LONGEST_TEMPLATE = 32_000
MOST_ARGUMENTS, LONGEST_ARGUMENT = 64, 1000
# What no argument of a program can hold: its end, and half a character.
NO_ARGUMENT = re.compile("[\0\ud800-\udfff]")
MOST_CORES, CORE_LIST = 1024, r"\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*"
MODEL_ALIAS = r"[A-Za-z0-9][A-Za-z0-9._:/+-]{0,99}"


class Rule(NamedTuple):
    """What a value must be: `text` completes the sentence "must be …".

    `schema`: as much of the rule as JSON Schema can say.
    """

    text: str
    holds: Callable[[Any], bool]
    schema: Mapping[str, Any] = MappingProxyType({})


def whole_number(low: int, high: int, note: str = "") -> Rule:
    """The rule of a whole number from `low` to `high`; JSON's true and false are no numbers here."""
    text, schema = f"a whole number from {low} to {high}{note}", {"type": "integer", "minimum": low, "maximum": high}
    return Rule(text, lambda v: type(v) is int and low <= v <= high, schema)


def number_between(low: float, high: float) -> Rule:
    """The rule of a number from `low` to `high`."""
    text, schema = f"a number from {low:g} to {high:g}", {"type": "number", "minimum": low, "maximum": high}
    return Rule(text, lambda v: type(v) in (int, float) and low <= v <= high, schema)


def one_of(names: Any) -> Rule:
    """The rule of a word out of `names`."""
    return Rule("one of " + ", ".join(names), lambda v: isinstance(v, str) and v in names, {"enum": list(names)})


def or_null(rule: Rule) -> Rule:
    """The rule that null obeys, too: llama-server is told nothing, and its own default holds."""
    schema = {"anyOf": [dict(rule.schema), {"type": "null"}]}
    return Rule(f"{rule.text}, or null", lambda v: v is None or rule.holds(v), schema)


def is_address(value: Any) -> bool:
    """True for an IPv4 or IPv6 address in text form, and for localhost."""
    try:
        # A zone (fe80::1%eth0) may hold any text, and systemd's IPAddressAllow= takes none.
        zoned = not isinstance(value, str) or "%" in value
        return value == "localhost" or bool(ipaddress.ip_address("" if zoned else value))
    except ValueError:
        return False


def is_file_name(value: Any) -> bool:
    """True for the name of a GGUF file inside the models folder, and for null."""
    plain = isinstance(value, str) and value.endswith(".gguf") and "/" not in value and is_path(value)
    return value is None or (plain and not value.startswith("."))  # a rest of a transfer begins with a dot


def is_path(text: str) -> bool:
    """Whether Linux takes the text as a path, and a line of a log can show it."""
    if not text.isprintable():
        return False
    return len(text.encode()) <= PATH_MAX and all(len(name.encode()) <= NAME_MAX for name in text.split("/"))


def short_json(value: Any) -> str:
    """The value as JSON, short enough for a line."""
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:80]}… ({len(text)} characters)"


def is_template(value: Any) -> bool:
    """True for a name or a text that llama-server, which reads any text as a template, turns a conversation into."""
    told = isinstance(value, str) and (value == "chatml" or "messages" in value) and len(value) <= LONGEST_TEMPLATE
    return told and not NO_ARGUMENT.search(value)


def is_arguments(value: Any) -> bool:
    """True for a list of short texts that a line of a log can show."""
    texts = value if isinstance(value, list) and len(value) <= MOST_ARGUMENTS else [None]
    return all(isinstance(text, str) and 0 < len(text) <= LONGEST_ARGUMENT and text.isprintable() for text in texts)


def is_core_list(value: Any) -> bool:
    """True for a list of cores as the kernel writes it, and for ""."""
    if not isinstance(value, str) or not re.fullmatch(f"({CORE_LIST})?", value, re.ASCII):
        return False
    spans = [[int(number) for number in span.split("-")] for span in value.split(",") if span]
    return all(span[0] <= span[-1] < MOST_CORES for span in spans)


ADDRESS = Rule("an IP address or localhost", is_address, {"type": "string"})
FOLDER = Rule(
    "an absolute folder",
    lambda v: isinstance(v, str) and v.startswith("/") and is_path(v),
    {"type": "string", "pattern": "^/"},
)
MODEL = Rule(
    "the name of a .gguf file in models.path, without a dot in front, or null for the only one there",
    is_file_name,
    {"type": ["string", "null"], "pattern": r"^[^./][^/]*\.gguf$"},
)
ALIAS = Rule(
    "at most 100 letters, digits or any of . _ : / + -",
    lambda v: isinstance(v, str) and bool(re.fullmatch(MODEL_ALIAS, v)),
    {"type": "string", "pattern": f"^{MODEL_ALIAS}$"},
)
TEMPLATE = Rule(
    f"chatml, or the text of a Jinja template with the word messages in it, of {LONGEST_TEMPLATE} characters at most, "
    "none of them a zero byte",
    is_template,
    {"type": "string", "pattern": "^chatml$|messages", "maxLength": LONGEST_TEMPLATE},
)
ARGUMENTS = Rule(
    f"a list of at most {MOST_ARGUMENTS} texts of 1 to {LONGEST_ARGUMENT} printable characters",
    is_arguments,
    {
        "type": "array",
        "maxItems": MOST_ARGUMENTS,
        "items": {"type": "string", "minLength": 1, "maxLength": LONGEST_ARGUMENT},
    },
)
CORES = Rule(
    f'numbers of cores below {MOST_CORES} such as "4-7" or "0,2-3", or ""',
    is_core_list,
    {"type": "string", "pattern": f"^({CORE_LIST})?$"},
)
YES_NO = Rule("true or false", lambda v: isinstance(v, bool), {"type": "boolean"})
NO_GPU = Rule("0: this llama-server is built for the CPU alone", lambda v: type(v) is int and v == 0, {"const": 0})
