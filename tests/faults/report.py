"""docs/explanation/faults.md: what came of every fault at every point."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby

from tests.faults.campaign import Result
from tests.faults.judge import Outcome

HEAD = """# Faults, and what is served after each

`make faults` tries them on the VM and writes this page. A row is a fault during a change of the target (a first deploy,
an upgrade, another model, a rollback), tried once with each seed; where it strikes follows from the seed alone:

    make faults ONLY=power-cut/upgrade SEED=7 COUNT=1

says what comes of that one, and leaves the page.
**old** and **new** say which release the target serves afterwards, completely and by itself: program, arguments, model,
config and unit of one release, and a completion that comes back. Then the cause is taken away and the same change is
made again: it has to converge with no manual step, disk use must be that of a clean deploy, and no key may be readable.
For seeds 1, 5, 9 and so on it is made once more, and must change nothing. **LOST** is everything else.

"power-cut" kills the machine; "power-cut-unflushed" also takes away what its disk was not told to flush, by replaying
a log of its writes. Seconds are from power to the first healthy answer, on an emulated machine: its boot is most of it.
A code names the content of all that a row runs; rows of hubs also run what fetches, and have one of their own.
"""


def page(results: Iterable[Result], planned: Mapping[str, int]) -> str:
    """The whole page; `planned` is how many tries of each row a whole campaign has."""
    found = sorted(results, key=lambda result: (result.row.partition("/")[0], result.row, result.seed))
    counts = Counter(result.outcome for result in found)
    codes = " and ".join(code for code, _ in Counter(result.code for result in found).most_common())
    made = Counter(result.row for result in found)
    whole = f"{sum(min(made[row], count) for row, count in planned.items())} of the {sum(planned.values())} planned"
    parts = [HEAD, f"\nOf code {codes}: {len(found)} tries, {whole}; {counted(counts)}.\n", table(found)]
    failures = [result for result in found if result.outcome == Outcome.LOST.value]
    if failures:
        parts.append("\n## Lost\n\n" + "".join(f"- `{one.row}` seed {one.seed}, {tell(one)}\n" for one in failures))
    return "".join(parts)


def table(found: list[Result]) -> str:
    """One line per row."""
    lines = [
        "| fault | during | tries | old | new | LOST | seconds to serve | seeds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row, group in groupby(found, key=lambda result: result.row):
        fault, _, change = row.partition("/")
        lines.append(f"| {fault} | {change} | {' | '.join(cells(list(group)))} |")
    return "\n" + "\n".join(lines) + "\n"


def cells(group: list[Result]) -> list[str]:
    """Tries, outcomes, seconds and seeds of one row."""
    counts = Counter(result.outcome for result in group)
    serve = sorted(result.serve for result in group if result.serve is not None)
    seconds = f"{serve[len(serve) // 2]:.0f} (at most {serve[-1]:.0f})" if serve else ""
    outcomes = [str(counts[outcome.value] or "") for outcome in Outcome]
    return [str(len(group)), *outcomes, seconds, spans([result.seed for result in group])]


def spans(seeds: list[int]) -> str:
    """Sorted numbers with neighbours drawn together: 1-3, 7."""
    runs = [[number for _, number in run] for _, run in groupby(enumerate(seeds), lambda pair: pair[1] - pair[0])]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def counted(counts: Counter[str]) -> str:
    """As a list of words."""
    return ", ".join(f"{counts[outcome.value]} {outcome.value}" for outcome in Outcome)


def tell(result: Result) -> str:
    """Where and why, in one line that Markdown leaves alone."""
    return f"{result.where}: {result.reason}".replace("|", "/").replace("\n", " ")
