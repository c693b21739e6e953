"""The judgement on a target after a fault: the old release, the new one, or a board lost. Pure functions."""

from dataclasses import dataclass
from enum import Enum

from tests.faults.observed import Seen, Served

# Beyond what a clean deploy uses: receipts, a grown directory.
TOLERANCE = 2_000_000


class Outcome(Enum):
    """What a target serves after a fault."""

    OLD = "old"
    NEW = "new"
    LOST = "LOST"


@dataclass(frozen=True)
class Verdict:
    """`reason` is empty unless the board is lost."""

    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True)
class Reference:
    """A change that nothing disturbed: what was served before and after, its seconds, the disk it leaves in use."""

    old: Seen
    new: Seen
    seconds: float


def lost(reason: str) -> Verdict:
    """A board lost."""
    return Verdict(Outcome.LOST, reason)


def judge(seen: Seen, reference: Reference, allowed: frozenset[Outcome]) -> Verdict:
    """Which release is served, completely, with no key in the open; before anybody did anything about the fault."""
    verdict = which(seen, reference.old.served, reference.new.served)
    if verdict.outcome is not Outcome.LOST and seen.leaks:
        return lost(f"the API key can be read in: {', '.join(seen.leaks)}")
    if verdict.outcome is not Outcome.LOST and verdict.outcome not in allowed:
        return lost(f"{verdict.outcome.value} is served, which this fault must not lead to")
    return verdict


def which(seen: Seen, old: Served | None, new: Served | None) -> Verdict:
    """The old release or the new one, or why neither. With no old one, a unit that is not there serves as before."""
    if old is None and seen.served is None and seen.state.startswith("inactive"):
        return Verdict(Outcome.OLD)
    if seen.served is None:
        return lost(f"nothing is served: {seen.state}; {one_line(seen.journal)}")
    if seen.status != 200 or not seen.text:
        return lost(f"a completion was answered with {seen.status}: {one_line(seen.answer)}; {seen.state}")
    for release, outcome in ((new, Outcome.NEW), (old, Outcome.OLD)):
        if seen.served == release:
            return Verdict(outcome)
    return lost(f"neither release: {mixture(seen.served, old, new)}")


def mixture(seen: Served, old: Served | None, new: Served | None) -> str:
    """How what is served differs from both releases."""
    parts = []
    for name, release in (("old", old), ("new", new)):
        if release:
            parts.append(f"not the {name} one's {' and '.join(seen.differences(release))}")
    return ", ".join(parts)


def converged(seen: Seen, reference: Reference, first: int, changed: list[str], said: str) -> Verdict:
    """After the same change once more (its exit status `first`), and again, which must change nothing."""
    if first:
        return lost(f"the next deploy fails: {last_line(said)}")
    verdict = which(seen, None, reference.new.served)
    if verdict.outcome is not Outcome.NEW:
        return lost(f"after the next deploy: {verdict.reason or 'nothing is served'}")
    if changed:
        return lost(f"the deploy after the next still changes: {', '.join(changed)}")
    if seen.leaks:
        return lost(f"after the next deploy the API key can be read in: {', '.join(seen.leaks)}")
    return bounds(seen, reference.new.used)


def bounds(seen: Seen, used: int) -> Verdict:
    """Disk use is that of a clean deploy again."""
    if seen.unfinished:
        return lost(f"unfinished files stay: {', '.join(seen.unfinished)}")
    if seen.used > used + TOLERANCE:
        return lost(f"{seen.used >> 20} MiB are in use, a clean deploy needs {used >> 20} MiB")
    return Verdict(Outcome.NEW)


def one_line(text: str) -> str:
    """The last 300 characters, without line breaks."""
    return " / ".join(line.strip() for line in text.splitlines() if line.strip())[-300:]


def last_line(text: str) -> str:
    """What a failed command said last that tells something."""
    telling = [line for line in text.splitlines() if "rror" in line or "refused" in line]
    return one_line("\n".join(telling[-2:]) or text)
