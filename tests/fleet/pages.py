"""The part of docs/explanation/benchmarks.md, and the plot, that are made from the history of `make fleet`."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deploy.onboard.files import write_file
from tests.bench.pages import PAGE, PLOTS, with_part
from tests.bench.plots import SAME_BYTES, svg_bytes
from tests.fleet.history import MEGABYTE, Measured, OddBoard, Record, UnderLoad
from tests.fleet.run import SCENARIOS
from tests.fleet.tools import OURS, TOOLS

MARKS = "<!-- made by `make fleet`: begin -->\n", "<!-- made by `make fleet`: end -->\n"
PLOT = "fleet.svg"
COLOURS = dict(zip(TOOLS, ("#00798c", "#d1495b", "#edae49"), strict=True))
DRAWN = ("nochange", "config")
HEAD = (
    "| run | boards | tool | controller, CPU s | times ours | its memory, MB | sent, MB | commands a board "
    "| a board, CPU s | wall, s |"
)
Key = tuple[str, int, str]


def write_pages(records: list[Record], page: Path = PAGE, plots: Path = PLOTS) -> None:
    """Writes the plot, and the part of the page between its two marks. Raises BoardllamaError without the marks."""
    found = newest_of_each(records)
    if found:
        plots.mkdir(parents=True, exist_ok=True)
        write_file(plots / PLOT, fleet_svg(found), mode=0o644)
    odd = next((record.odd for record in reversed(records) if record.odd), [])
    under_load = {(one.happened, one.boards): one for record in records for one in record.under_load}
    ordered = sorted(under_load.values(), key=lambda one: (list(SCENARIOS).index(one.happened), one.boards))
    part = fleet_part(found, odd, ordered)
    write_file(page, with_part(page.read_text(), part, MARKS).encode(), mode=0o644)


def newest_of_each(records: list[Record]) -> dict[Key, Measured]:
    """The newest measurement of each scenario, number of boards and tool, in the order of the tables."""
    newest = {(one.scenario, one.boards, one.tool): one for record in records for one in record.measured}
    scenarios, tools = list(SCENARIOS), list(TOOLS)
    ordered = sorted(newest, key=lambda key: (scenarios.index(key[0]), key[1], tools.index(key[2])))
    return {key: newest[key] for key in ordered}


def fleet_part(found: dict[Key, Measured], odd: list[OddBoard], under_load: Sequence[UnderLoad] = ()) -> str:
    """The picture, a table with a row for each measurement, what a board more costs, the odd boards, and what became
    of requests.
    """
    if not found:
        return "\nNothing is measured yet.\n\n"
    rows = [table_row(one, found.get((scenario, boards, OURS))) for (scenario, boards, _), one in found.items()]
    table = [HEAD, "|---" * (HEAD.count("|") - 1) + "|", *rows, ""]
    picture = [f"![The controller's processor time](benchmarks/{PLOT})", ""]
    lines = [*picture, *table, *growth_lines(found), *odd_lines(odd), *under_load_lines(under_load)]
    return "\n" + "\n".join(lines) + "\n"


def table_row(one: Measured, ours: Measured | None) -> str:
    """A measurement, compared with ours of the same scenario and number."""
    costs = one.costs
    times = f"{costs.cpu / ours.costs.cpu:.1f}" if ours and one.tool != OURS else ""
    cells = [SCENARIOS[one.scenario], str(one.boards), one.tool, f"{costs.cpu:.1f}", times]
    cells += [f"{costs.memory / MEGABYTE:.0f}", f"{costs.sent / MEGABYTE:.1f}", f"{one.commands:.1f}"]
    return f"| {' | '.join([*cells, f'{one.boards_cpu:.2f}', f'{costs.wall:.0f}'])} |"


def growth_lines(found: dict[Key, Measured]) -> Iterator[str]:
    """What a board more costs the controller, from the smallest and the largest fleet of each tool and scenario."""
    by_work = sorted(found.values(), key=lambda one: (one.scenario, one.tool))
    cells = []
    for (scenario, tool), group in groupby(by_work, key=lambda one: (one.scenario, one.tool)):
        sizes = sorted(group, key=lambda one: one.boards)
        few, many = sizes[0], sizes[-1]
        if many.boards > few.boards:
            slope = (many.costs.cpu - few.costs.cpu) / (many.boards - few.boards)
            cells.append(f"{SCENARIOS[scenario]} {tool} {slope:.3f}")
    if cells:
        yield f"A board more costs the controller, CPU seconds: {', '.join(cells)}."
        yield ""


def odd_lines(odd: list[OddBoard]) -> Iterator[str]:
    """The table of odd boards."""
    if odd:
        yield from ("| odd board | verdict | what was said |", "|---|---|---|")
        for one in odd:
            mark = "" if one.as_expected else " (not as expected)"
            yield f"| {one.board} | {one.verdict}{mark} | {one.reason.replace('|', '/')} |"
        yield ""


def under_load_lines(under_load: Sequence[UnderLoad]) -> Iterator[str]:
    """The table of what happened to boards behind a gateway."""
    if under_load:
        head = (
            "| behind a gateway | boards | clients | answered | failed | boards out at once | the run said | wall, s |"
        )
        yield from (head, "|---" * (head.count("|") - 1) + "|")
        for one in under_load:
            mark = "" if one.as_expected else " (not as expected)"
            verdicts = ", ".join(f"{count} {verdict}" for verdict, count in one.verdicts.items())
            cells = [
                f"{SCENARIOS[one.happened]}{mark}",
                one.boards,
                one.clients,
                one.answered,
                len(one.failed),
                one.out,
            ]
            yield f"| {' | '.join(map(str, [*cells, verdicts, round(one.wall)]))} |"
        yield ""


def fleet_svg(found: dict[Key, Measured]) -> bytes:
    """The controller's processor time over the number of boards, a line for each tool."""
    with rc_context(SAME_BYTES):
        figure = Figure(figsize=(10, 4))
        figure.subplots_adjust(left=0.07, right=0.98, top=0.86, bottom=0.14, wspace=0.2)
        for number, scenario in enumerate(DRAWN, 1):
            draw_scenario(figure.add_subplot(1, len(DRAWN), number), found, scenario)
        return svg_bytes(figure)


def draw_scenario(axes: Axes, found: dict[Key, Measured], scenario: str) -> None:
    """One scenario, both axes in powers of ten."""
    axes.set_title(f"{SCENARIOS[scenario]}: CPU seconds of the controller")
    axes.set_xlabel("boards")
    axes.set_xscale("log")
    axes.set_yscale("log")
    for tool, colour in COLOURS.items():
        points = [(one.boards, one.costs.cpu) for key, one in found.items() if (key[0], key[2]) == (scenario, tool)]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", color=colour, label=tool)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")
