"""The questions of a sweep: one after the other, each asked of the best answer to those before."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .bench import Bench
from .borrowed import chosen_word
from .contest import Entrant, choose_entrant, choose_threads, hold_contest
from .setup import Setup, core_list
from .system_costs import FASTEST, GOVERNORS, PAGES

DEEP = 2  # prompts that a conversation has already, where its cache is asked about
Choose = Callable[[Sequence[Entrant], float], Setup]


@dataclass
class Stage:
    """One question: the setups by their labels, the one in place first. `depth`: tokens that are read before.

    `applies`: whether the answer becomes settings; else it is only told. `choose`: which setup won.
    """

    name: str
    setups: dict[str, Setup]
    applies: bool = True
    choose: Choose = lambda entrants, weight: choose_entrant(entrants, weight).setup
    depth: int = 0
    all_rounds: bool = False
    entrants: list[Entrant] = field(default_factory=list)
    winner: str = ""

    def run(self, bench: Bench, prompt_weight: float) -> Setup:
        """Has the setups compete. Returns the best, or the one in place when the answer is only told."""
        bench.size = bench.size._replace(depth=self.depth)
        bench.say(f"{self.name}: {len(self.setups)} ways")
        self.entrants = hold_contest(self.setups, bench.measure, bench.is_late, self.all_rounds)
        best = self.choose(self.entrants, prompt_weight)
        self.winner = next((label for label, setup in self.setups.items() if setup == best), threads_label(best))
        return best if self.applies else self.entrants[0].setup

    def to_json(self) -> dict[str, Any]:
        """The stage for the table: {"name": …, "applies": …, "winner": label, "rows": [entrant_row, …]}."""
        rows = [entrant_row(entrant) for entrant in self.entrants]
        return {"name": self.name, "applies": self.applies, "winner": self.winner, "rows": rows}


def entrant_row(entrant: Entrant) -> dict[str, Any]:
    """A row of the table, as JSON."""
    return {
        "label": entrant.label,
        "prompt": round(entrant.prompt, 2),
        "prompt_spread": round(entrant.spread(lambda figure: figure.prompt), 3),
        "generation": round(entrant.generation, 2),
        "generation_spread": round(entrant.spread(lambda figure: figure.generation), 3),
        "memory": entrant.memory,
        "runs": len(entrant.good),
        "note": entrant.failed or entrant.spoiled or (f"clearly worse after {entrant.left}" if entrant.left else ""),
    }


def threads_label(setup: Setup) -> str:
    """The threads and cores of a setup for a table."""
    prompts = f", {setup.batch_threads} for prompts" if setup.batch_threads != setup.threads else ""
    return f"threads {setup.threads}{prompts}, cores {core_list(setup.cores)}"


def threads_setups(base: Setup, kinds: list[tuple[int, ...]], physical: Callable[[tuple[int, ...]], int]) -> Stage:
    """What is in place, then each kind of cores with a thread each; the first and the second kind also with fewer."""
    found = {threads_label(base): base}
    for number, cores in enumerate(kinds):
        most = physical(cores)
        fewer = [most - 1, (most + 1) // 2] if number < 2 else []
        for threads in dict.fromkeys(one for one in (most, *fewer) if one > 0):
            setup = base.with_threads(cores, threads)
            found.setdefault(threads_label(setup), setup)
    return Stage("threads and cores", found, choose=choose_threads)


def builds_stage(base: Setup, builds: list[str]) -> Stage:
    return Stage("build", {name: base._replace(build=name) for name in [base.build, *builds]})


def later_stages(base: Setup, prompt: int, root: Path = Path("/")) -> Iterator[Callable[[Setup], Stage]]:
    """The questions after threads and builds. `prompt`: tokens that a run reads."""
    yield lambda now: Stage("repacked weights", ways_of(now, "repack", not now.repack))
    depth = DEEP * prompt
    yield lambda now: Stage("flash attention", ways_of(now, "flash", not now.flash), applies=False, depth=depth)
    other = "q8_0" if base.kv_cache == "f16" else "f16"
    yield lambda now: Stage("cache of conversations", ways_of(now, "kv_cache", other), applies=False, depth=depth)
    yield lambda now: Stage("load mode", ways_of(now, "load", "none"), applies=False)
    yield lambda now: Stage("prompt's pieces", ways_of(now, "ubatch", prompt // 2, prompt // 4), applies=False)
    if {file.read_text().strip() for file in root.glob(GOVERNORS)} - {FASTEST}:
        yield lambda now: Stage("governor", ways_of(now, "governor", FASTEST), applies=False)
    if (root / PAGES).exists() and chosen_word((root / PAGES).read_text()) != "always":
        yield lambda now: Stage("huge pages", ways_of(now, "pages", "always"), applies=False)


def ways_of(now: Setup, name: str, *others: bool | str | int) -> dict[str, Setup]:
    """The setup, and the setup with other values of that name."""
    changed: list[dict[str, Any]] = [{}, *({name: other} for other in others)]
    setups = [now._replace(**values) for values in changed]
    return {f"{name} {value_word(getattr(setup, name))}": setup for setup in setups}


def value_word(value: bool | str | int) -> str:
    """The value for a table."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value) or "as it is"
