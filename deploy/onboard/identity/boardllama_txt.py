"""boardllama.txt: what a technician tells one board, in a file that any system can edit. Read, checked, written; pure.

The rules of single values are in rules.py. How a line is written is in lines.py.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ..spelling import nearest_name
from .lines import Entry, first_word, parse_line, quote_value
from .rules import NAMES, NameRule, Wrong, find_conflicts

FILE = "boardllama.txt"
ERRORS = "boardllama-errors.txt"
LABEL = "BOARDLLAMA"
MOST_SAID = 50  # problems: in a file with more of them no further line is looked at, nor used
FORMAT = 1
HEADING = f"""\
# {FILE}, format {FORMAT}: who this board is. One "name = value" in a line; a line that begins with # is a comment. Take
# the # away before a name to use it. Read at every start of the board; what is wrong stands in {ERRORS}
# beside it."""
# The first files did not say their format, and people write files without a heading.
FORMAT_LINE = re.compile(rf"#\s*{re.escape(FILE)}, format (\d{{1,9}})\b")
# What stands in the place of a secret: one that the board has taken over, and one that it could not use.
APPLIED = '# {name}: applied, and kept on the board alone; a line "{name} = ..." changes it'
REFUSED = '# {name}: wrong, and taken out; write a line "{name} = ..." again'
MARK = re.compile(r"#\s*([a-z_]+): (applied|wrong)\b")


class Problem(NamedTuple):
    """A breach of a rule. `line` counts from 1; 0: the breach is in no single line."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


class IdentityError(Exception):
    """The file breaks rules; `problems` has every breach."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


@dataclass(frozen=True)
class Identity:
    """What a board is told. A name that is not told, or None, leaves the board as it is.

    `entries`: names and values, as they are used. `kept`: secrets that the board has taken over before. `unclear`: the
    names of lines that could not be used; "" for a line without a known name.
    """

    entries: tuple[tuple[str, str], ...] = ()
    kept: frozenset[str] = frozenset()
    unclear: frozenset[str] = field(default=frozenset(), compare=False)

    def __repr__(self) -> str:
        shown = ((name, "…" if NAMES[name].secret else value) for name, value in self.entries)
        return f"Identity({', '.join(f'{name}={value!r}' for name, value in shown)})"

    def values_of(self, name: str) -> tuple[str, ...]:
        """Every value of the name, in the order of the file."""
        return tuple(value for one, value in self.entries if one == name)

    def value_of(self, name: str) -> str | None:
        """The value of the name; None when it is not told."""
        return next(iter(self.values_of(name)), None)

    def without(self, names: Collection[str]) -> "Identity":
        """A copy without the values of these names."""
        return replace(self, entries=tuple(entry for entry in self.entries if entry[0] not in names))

    @property
    def hostname(self) -> str | None:
        """The board's name: small letters, digits and hyphens."""
        return self.value_of("hostname")

    @property
    def ssh_keys(self) -> tuple[str, ...]:
        """Who may log in: public keys, as in authorized_keys."""
        return self.values_of("ssh_key")

    @property
    def wifi_ssid(self) -> str | None:
        """The name of the Wi-Fi."""
        return self.value_of("wifi_ssid")

    @property
    def wifi_password(self) -> str | None:
        """The Wi-Fi's password: 8 to 63 characters, 64 hexadecimal digits, or `none` for an open network."""
        return self.value_of("wifi_password")

    @property
    def wifi_country(self) -> str | None:
        """The country that the board is in: two capital letters of ISO 3166-1."""
        return self.value_of("wifi_country")

    @property
    def address(self) -> str | None:
        """How the board gets its address: `dhcp`, or a fixed address with its prefix."""
        return self.value_of("address")

    @property
    def gateway(self) -> str | None:
        """The router, for a fixed address: an address of the same network."""
        return self.value_of("gateway")

    @property
    def dns(self) -> tuple[str, ...]:
        """The addresses of name servers."""
        return self.values_of("dns")

    @property
    def api_key(self) -> str | None:
        """The key that clients of the server must send, or `generate`."""
        return self.value_of("api_key")

    @property
    def timezone(self) -> str | None:
        """The time zone by its name, such as Europe/Berlin."""
        return self.value_of("timezone")

    def render(self) -> str:
        """The file's text, with every name explained; `parse_identity` gives the same identity back."""
        return "\n".join([HEADING, *(line for name, rule in NAMES.items() for line in self._lines_of(name, rule)), ""])

    def _lines_of(self, name: str, rule: NameRule) -> Iterator[str]:
        yield from ("", f"# {rule.about}")
        if name in self.kept:
            yield APPLIED.format(name=name)
        values = self.values_of(name)
        yield from (f"{name} = {quote_value(value)}" for value in values)
        if not values:
            yield f"# {name} = {rule.example}"


def parse_identity(text: str) -> Identity:
    """The identity that the file's text says. Raises IdentityError with every problem."""
    identity, problems = read_identity(text)
    if problems:
        raise IdentityError(problems)
    return identity


def identity_of(*values: tuple[str, str]) -> Identity:
    """The identity of names and values from elsewhere, such as options. Raises IdentityError with every problem."""
    identity, problems = check_entries([Entry(0, name, value) for name, value in values])
    if problems:
        raise IdentityError(problems)
    return identity


def read_identity(text: str) -> tuple[Identity, list[Problem]]:
    """What is valid in the file's text, and a problem for everything else."""
    if text.startswith("{\\rtf"):
        return Identity(), [Problem(0, f"{FILE} is formatted text (RTF): save it as plain text")]
    entries, problems, marks = [], [], dict[str, tuple[str, int]]()
    unclear = set[str]()
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = line.strip()
        problems += [Problem(number, newer) for newer in format_problems(line)]
        if (found := MARK.match(line)) and is_secret(found[1]):
            marks[found[1]] = found[2], number
        if not line or line.startswith("#"):
            continue
        try:
            entries.append(parse_line(number, line))
        except Wrong as error:
            problems.append(Problem(number, str(error)))
            unclear.add(name if (name := first_word(line.partition("=")[0].strip())) in NAMES else "")
    kept = frozenset(name for name, (mark, _) in marks.items() if mark == "applied")
    said = {entry.name for entry in entries}
    refused = {name: line for name, (_, line) in marks.items() if name not in kept | said}
    identity, more = check_entries(entries, kept, {*refused, *unclear})
    problems += [Problem(line, f"{name} was wrong and was taken out: write it again") for name, line in refused.items()]
    return identity, sorted([*problems, *more])


def format_problems(line: str) -> list[str]:
    """What is wrong with the format that the line names, as zero or one sentence."""
    found = FORMAT_LINE.match(line)
    if not found or int(found[1]) <= FORMAT:
        return []
    advice = f"write the file as format {FORMAT}, or write the card with a newer image"
    return [f"the file has format {found[1]}, this board reads {FORMAT} and uses what it knows: {advice}"]


def check_entries(
    entries: Iterable[Entry], kept: frozenset[str] = frozenset(), unclear: Iterable[str] = ()
) -> tuple[Identity, list[Problem]]:
    """The entries that obey their rules, alone and together, and a problem for each of the others.

    `kept`: secrets that the board has taken over before. `unclear`: names that are known to be wrong.
    """
    good: list[Entry] = []
    first: dict[str, int] = {}
    problems, spoiled = list[Problem](), set(unclear)
    for one in entries:
        if len(problems) >= MOST_SAID:
            spoiled.add(one.name if one.name in NAMES else "")
            continue
        try:
            good.append(one._replace(value=accepted_value(one, first)))
            first.setdefault(one.name, one.line)
        except Wrong as error:
            problems.append(Problem(one.line, str(error)))
            spoiled.add(one.name)
    # A secret that is used leaves the file for good. Of a name with a wrong line no secret is used: nobody can tell
    # which of its lines was meant.
    good = [one for one in good if not (is_secret(one.name) and one.name in spoiled)]
    lines = {one.name: one.line for one in good}
    for name, partner, text in find_conflicts({one.name: one.value for one in good}, kept):
        if partner not in spoiled:  # else the cause has been said
            problems.append(Problem(lines[name], text))
        spoiled.add(name)
        good = [one for one in good if one.name != name]
    return Identity(tuple((one.name, one.value) for one in good), kept, frozenset(spoiled)), problems


def accepted_value(entry: Entry, first: Mapping[str, int]) -> str:
    """The entry's value as it will be used. Raises Wrong. `first`: the first good line of each name before."""
    rule = NAMES.get(entry.name)
    if rule is None:
        near = nearest_name(entry.name, NAMES)
        advice = f"did you mean {near}?" if near else f"must be one of {', '.join(NAMES)}"
        raise Wrong(f"{first_word(entry.name)!r} is unknown: {advice}")
    if entry.name in first and not rule.repeats:
        raise Wrong(f"{entry.name} is there a second time, first in line {first[entry.name]}: take one of them away")
    if "\ufffd" in entry.value:
        raise Wrong(f"{entry.name} holds bytes that are no UTF-8: save the file as UTF-8")
    if not entry.value.replace("\t", " ").isprintable():
        raise Wrong(f"{entry.name} holds signs that cannot be seen: write the line again")
    try:
        return rule.value(entry.value)
    except Wrong as error:
        seen = "" if rule.secret or not entry.value else f" is {entry.value[:60]!r}"
        raise Wrong(f"{entry.name}{seen}: {error}") from None


def is_secret(name: str) -> bool:
    """Whether the board takes values of the name out of the file."""
    return name in NAMES and NAMES[name].secret
