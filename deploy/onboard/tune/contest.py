"""Setups against each other: in turn, so that heat meets all of them, and only as long as it helps."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .setup import Figure, Setup

ROUNDS = 3
# Below this share of the best in prompts and in tokens a setup is clearly worse, and gets no further round.
CLEARLY_WORSE = 0.9
# What is in place stays unless another one is better by that share, and by more than their runs differ.
WORTH_IT = 0.03


@dataclass
class Entry:
    """A setup with its figures. `failed`: why it cannot be run; `left`: it was clearly worse after so many runs."""

    setup: Setup
    label: str
    figures: list[Figure] = field(default_factory=list)
    failed: str = ""
    left: int = 0

    @property
    def good(self) -> list[Figure]:
        """The figures that say something of the setup."""
        return [figure for figure in self.figures if not figure.spoiled]

    @property
    def prompt(self) -> float:
        """Tokens per second, median; 0 without a good figure."""
        return statistics.median([one.prompt for one in self.good] or [0.0])

    @property
    def generation(self) -> float:
        """Tokens per second, median; 0 without a good figure."""
        return statistics.median([one.generation for one in self.good] or [0.0])

    @property
    def memory(self) -> int:
        """Bytes at the peak."""
        return max((one.memory for one in self.figures), default=0)

    @property
    def spoiled(self) -> str:
        """Why no figure is good; "" when one is, or when there is none at all."""
        return "" if self.good or not self.figures else self.figures[-1].spoiled

    def spread(self, of: Callable[[Figure], float]) -> float:
        """The highest less the lowest good figure, as a share of the median."""
        values = [of(one) for one in self.good]
        return (max(values) - min(values)) / statistics.median(values) if values else 0.0

    def noise(self, prompt_weight: float) -> float:
        """Half of what its runs differ by, as a share of its speed; weighed as the speeds are."""
        prompt, generation = self.spread(lambda one: one.prompt), self.spread(lambda one: one.generation)
        return (prompt_weight * prompt + (1 - prompt_weight) * generation) / 2


def weighted_speed(prompt: float, generation: float, prompt_weight: float) -> float:
    """One number for both speeds: their geometric mean, so that a tenth more of either is worth what it weighs."""
    if min(prompt, generation) <= 0:
        return 0.0
    return math.exp(prompt_weight * math.log(prompt) + (1 - prompt_weight) * math.log(generation))


def hold_contest(
    setups: Mapping[str, Setup],
    measure: Callable[[str, Setup], Figure | str],
    is_late: Callable[[], bool],
    all_rounds: bool = False,
) -> list[Entry]:
    """The setups, by label, with the figures of ROUNDS; every second round begins with the last of them.

    Who is clearly worse leaves, and the contest ends when a single one is left; with `all_rounds` everybody stays.
    `measure`: a figure, or why the setup cannot be run.
    """
    entries = [Entry(setup, label) for label, setup in setups.items()]
    for number in range(ROUNDS):
        running = [entry for entry in entries if not entry.failed and not entry.left]
        if number and len(running) == 1 and not all_rounds:
            break
        for entry in running if number % 2 == 0 else reversed(running):
            if is_late():
                return entries
            run_once(entry, measure)
        if not all_rounds:
            drop_worse(running)
    return entries


def run_once(entry: Entry, measure: Callable[[str, Setup], Figure | str]) -> None:
    """Adds a figure, or why there is none."""
    found = measure(entry.label, entry.setup)
    if isinstance(found, str):
        entry.failed = found
    else:
        entry.figures.append(found)


def drop_worse(entries: Sequence[Entry]) -> None:
    """Takes out of the contest what is clearly worse than the best in both speeds."""
    best = [max((speed(entry) for entry in entries), default=0.0) for speed in SPEEDS]
    for entry in entries:
        if entry.good and all(speed(entry) < CLEARLY_WORSE * most for speed, most in zip(SPEEDS, best, strict=True)):
            entry.left = len(entry.figures)


SPEEDS: tuple[Callable[[Entry], float], ...] = (lambda entry: entry.prompt, lambda entry: entry.generation)


def choose_entry(entries: Sequence[Entry], prompt_weight: float) -> Entry:
    """The best entry; the first, which is in place, unless the best is worth the change."""

    def speed(entry: Entry) -> float:
        return weighted_speed(entry.prompt, entry.generation, prompt_weight)

    first, best = entries[0], max(entries, key=speed)
    needed = worthy_speed(speed(first), (first, best), prompt_weight)
    return best if first.good and speed(best) > needed else first


def choose_threads(entries: Sequence[Entry], prompt_weight: float) -> Setup:
    """The cores with the best speeds, each with as many threads as suit it: prompts and tokens may have other numbers.

    The first entry, which is in place, stays unless the best is worth the change.
    """

    def speed_on(cores: tuple[int, ...]) -> float:
        prompt, generation = best_on(entries, cores)
        return weighted_speed(prompt.prompt, generation.generation, prompt_weight)

    first = entries[0]
    cores = max(dict.fromkeys(entry.setup.cores for entry in entries), key=speed_on)
    prompt, generation = best_on(entries, cores)
    now = weighted_speed(first.prompt, first.generation, prompt_weight)
    if not first.good or speed_on(cores) <= worthy_speed(now, (first, prompt, generation), prompt_weight):
        return first.setup
    return first.setup._replace(cores=cores, threads=generation.setup.threads, batch_threads=prompt.setup.batch_threads)


def worthy_speed(now: float, compared: Sequence[Entry], prompt_weight: float) -> float:
    """The speed that is worth a change: beyond `now` by more than the runs of those that are compared differ."""
    return now * (1 + max(WORTH_IT, *(entry.noise(prompt_weight) for entry in compared)))


def best_on(entries: Sequence[Entry], cores: tuple[int, ...]) -> tuple[Entry, Entry]:
    """Of the entries on these cores the best in prompts, and the best in tokens."""
    there = [entry for entry in entries if entry.setup.cores == cores]
    return max(there, key=SPEEDS[0]), max(there, key=SPEEDS[1])
