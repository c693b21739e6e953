"""Setups against each other: in turn, so that heat meets all of them, and only as long as it helps."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .setup import Figure, Setup

ROUNDS = 3
# Below this share of the best in prompts and in tokens a setup is clearly worse, and gets no further round.
CLEARLY_WORSE = 0.9
# What is in place stays unless another one is better by that share, and no chance explains it: by more than their runs
# differ, or in each of its runs.
WORTH_IT = 0.03


@dataclass
class Entrant:
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
) -> list[Entrant]:
    """The setups, by label, with the figures of ROUNDS; every second round begins with the last of them.

    Who is clearly worse leaves, and the contest ends when a single one is left; with `all_rounds` everybody stays.
    `measure`: a figure, or why the setup cannot be run.
    """
    entrants = [Entrant(setup, label) for label, setup in setups.items()]
    for number in range(ROUNDS):
        running = [entrant for entrant in entrants if not entrant.failed and not entrant.left]
        if number and len(running) == 1 and not all_rounds:
            break
        for entrant in running if number % 2 == 0 else reversed(running):
            if is_late():
                return entrants
            run_once(entrant, measure)
        if not all_rounds:
            drop_worse(running)
    return entrants


def run_once(entrant: Entrant, measure: Callable[[str, Setup], Figure | str]) -> None:
    """Adds a figure, or why there is none."""
    found = measure(entrant.label, entrant.setup)
    if isinstance(found, str):
        entrant.failed = found
    else:
        entrant.figures.append(found)


def drop_worse(entrants: Sequence[Entrant]) -> None:
    """Takes out of the contest what is clearly worse than the best in both speeds."""
    best = [max((speed(entrant) for entrant in entrants), default=0.0) for speed in SPEEDS]
    for entrant in entrants:
        if entrant.good and all(
            speed(entrant) < CLEARLY_WORSE * most for speed, most in zip(SPEEDS, best, strict=True)
        ):
            entrant.left = len(entrant.figures)


SPEEDS: tuple[Callable[[Entrant], float], ...] = (lambda entrant: entrant.prompt, lambda entrant: entrant.generation)


def choose_entrant(entrants: Sequence[Entrant], prompt_weight: float) -> Entrant:
    """The best entrant; the first, which is in place, unless the best is worth the change."""

    def speed(entrant: Entrant) -> float:
        return weighted_speed(entrant.prompt, entrant.generation, prompt_weight)

    first, best = entrants[0], max(entrants, key=speed)
    return best if is_worth_it((first, first), (best, best), prompt_weight) else first


def choose_threads(entrants: Sequence[Entrant], prompt_weight: float) -> Setup:
    """The cores with the best speeds, each with as many threads as suit it: prompts and tokens may have other numbers.

    Of cores that cannot be told from the best it takes the fewest: where the kernel may choose, it was lucky perhaps.
    The first entrant, which is in place, stays unless what was found is worth the change.
    """

    def speed_on(cores: tuple[int, ...]) -> float:
        prompt, generation = best_on(entrants, cores)
        return weighted_speed(prompt.prompt, generation.generation, prompt_weight)

    first, kinds = entrants[0], list(dict.fromkeys(entrant.setup.cores for entrant in entrants))
    best = best_on(entrants, max(kinds, key=speed_on))
    alike = [one for one in kinds if speed_on(one) and not is_worth_it(best_on(entrants, one), best, prompt_weight)]
    prompt, generation = found = best_on(entrants, min(alike, key=len, default=first.setup.cores))
    if not is_worth_it((first, first), found, prompt_weight):
        return first.setup
    return first.setup._replace(
        cores=prompt.setup.cores, threads=generation.setup.threads, batch_threads=prompt.setup.batch_threads
    )


# The entrant whose speed in prompts counts, and the one whose speed in tokens does: they may be the same.
Pair = tuple[Entrant, Entrant]


def is_worth_it(now: Pair, then: Pair, prompt_weight: float) -> bool:
    """Whether `then` is worth leaving `now` for: faster, and no chance explains it."""
    if not all(entrant.good for entrant in (*now, *then)):
        return False

    def speed(of: Callable[[Iterable[float]], float], pair: Pair) -> float:
        values = of(one.prompt for one in pair[0].good), of(one.generation for one in pair[1].good)
        return weighted_speed(*values, prompt_weight)

    before, after = speed(statistics.median, now), speed(statistics.median, then)
    noise = max(entrant.noise(prompt_weight) for entrant in (*now, *then))
    no_chance = after > before * (1 + noise) or speed(min, then) > speed(max, now)
    return no_chance and after > before * (1 + WORTH_IT)


def best_on(entrants: Sequence[Entrant], cores: tuple[int, ...]) -> Pair:
    """Of the entrants on these cores the best in prompts, and the best in tokens."""
    there = [entrant for entrant in entrants if entrant.setup.cores == cores]
    return max(there, key=SPEEDS[0]), max(there, key=SPEEDS[1])
