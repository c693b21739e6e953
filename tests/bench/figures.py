"""Figures of measurements: a token's cost by slope, medians and spread, and what became worse."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from tests.bench.plan import COUNTED, GENERATION, PROMPT, START, Measurement, Values


@dataclass(frozen=True)
class Figure:
    """`unit` as it stands in a table, where a value is divided by `scale`. `judged`: whether it can be a regression."""

    name: str
    title: str
    unit: str
    scale: float = 1.0
    digits: int = 2
    judged: bool = True


# In each, less is better.
_TABLE = (
    Figure("prompt", "prompt", "CPU s/token", digits=3),
    Figure("generation", "generation", "CPU s/token", digits=3),
    Figure("prompt_instructions", "prompt", "M instructions/token", 1e6, 1),
    Figure("generation_instructions", "generation", "M instructions/token", 1e6, 1),
    Figure("load", "load", "CPU s"),
    Figure("start", "start to /health", "CPU s"),
    Figure("start_wall", "start to /health", "s", judged=False),
    Figure("memory", "peak memory", "MB", 1e6, 0),
    Figure("size", "installed", "MB", 1e6, 1),
)
FIGURES = {figure.name: figure for figure in _TABLE}
REGRESSION = 1.05


def slope(short: float, long: float, tokens: tuple[int, int]) -> float:
    """What a token costs, by two runs of `tokens` tokens. Whatever a run costs apart from its tokens cancels out."""
    return (long - short) / (tokens[1] - tokens[0])


def round_figures(values: Mapping[str, Values]) -> dict[str, float]:
    """The figures of one round, by the values of its kinds of measurements."""
    spent = {kind: found["cpu_seconds"] for kind, found in values.items()}
    prompt = slope(spent["prompt-short"], spent["prompt-long"], PROMPT)
    return {
        "prompt": prompt,
        "generation": slope(spent["generation-short"], spent["generation-long"], GENERATION),
        "load": spent["prompt-short"] - PROMPT[0] * prompt,
        "start": spent[START],
        "start_wall": values[START]["wall_seconds"],
        "memory": values[START]["guest_bytes"],
    }


def counted_figures(values: Mapping[str, Values]) -> dict[str, float]:
    """Instructions of a token, by the values of counted measurements."""
    counts = {kind.removeprefix(COUNTED): found["instructions"] for kind, found in values.items()}
    return {
        "prompt_instructions": slope(counts["prompt-short"], counts["prompt-long"], PROMPT),
        "generation_instructions": slope(counts["generation-short"], counts["generation-long"], GENERATION),
    }


def gather_figures(
    measurements: Iterable[Measurement], found: Mapping[str, Values]
) -> dict[tuple[str, str], dict[str, list[float]]]:
    """By CPU and contender: each figure's values, one of each round."""
    rounds: dict[tuple[str, str, int, bool], dict[str, Values]] = {}
    for one in measurements:
        counted = one.kind.startswith(COUNTED)
        rounds.setdefault((one.cpu, one.contender, one.round, counted), {})[one.kind] = found[one.key]
    gathered: dict[tuple[str, str], dict[str, list[float]]] = {}
    for (cpu, contender, _, counted), values in rounds.items():
        make: Callable[[Mapping[str, Values]], dict[str, float]] = counted_figures if counted else round_figures
        for name, value in make(values).items():
            gathered.setdefault((cpu, contender), {}).setdefault(name, []).append(value)
    return gathered


def spread_text(values: list[float], figure: Figure) -> str:
    """Median, and least to most of several values."""
    shown = [f"{value / figure.scale:.{figure.digits}f}" for value in (median(values), min(values), max(values))]
    return shown[0] if shown[1] == shown[2] else f"{shown[0]} ({shown[1]} to {shown[2]})"
