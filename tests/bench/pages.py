"""The part of docs/explanation/benchmarks.md, and the plots, that are made from the history."""

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from statistics import median

from deploy.errors import BoardllamaError
from deploy.onboard.files import write_file
from deploy.paths import REPO
from tests.bench.contenders import CONTENDERS
from tests.bench.figures import FIGURES, spread_text
from tests.bench.history import Cycles, Entry, Record
from tests.bench.plots import write_plots

PAGE = REPO / "docs" / "explanation" / "benchmarks.md"
PLOTS = REPO / "docs" / "explanation" / "benchmarks"
BEGIN, END = "<!-- made by `make bench`: begin -->\n", "<!-- made by `make bench`: end -->\n"
PICTURES = (
    "![CPU seconds a token](benchmarks/speed.svg)",
    "",
    "![CPU seconds a token, from run to run](benchmarks/history.svg)",
    "",
)
# What ours is compared with, and the figures of which it is said.
RIVALS = ("reference", "debian", "variants")
COMPARED = ("prompt", "generation")


def write_pages(records: Mapping[str, Record], page: Path = PAGE, plots: Path = PLOTS) -> None:
    """Writes the plots, and the part of the page between its two marks. Raises BoardllamaError without the marks."""
    write_plots(records, plots)
    write_file(page, with_part(page.read_text(), page_part(records)).encode(), mode=0o644)


def with_part(text: str, part: str, marks: tuple[str, str] = (BEGIN, END)) -> str:
    """The text with another part between the marks. Raises BoardllamaError for a text without them."""
    before, begin, rest = text.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        first, last = (mark.strip() for mark in marks)
        raise BoardllamaError(f"{PAGE.name} has no lines {first} and {last}: restore it from git")
    return before + begin + part + end + after


def page_part(records: Mapping[str, Record]) -> str:
    """Tables of the newest run of each shape and CPU."""
    parts = [table for name, record, cpu in newest(records) for table in cpu_section(name, record, cpu)]
    cycles = cycles_section(newest_cycles(records))
    return "\n" + "\n".join([*PICTURES, *parts, *cycles]) + "\n" if parts else "\nNothing is measured yet.\n\n"


def newest(records: Mapping[str, Record]) -> Iterator[tuple[str, Record, str]]:
    """The name and the newest record of each shape and CPU, with that CPU."""
    found = {(record.shape, cpu): (name, record) for name, record in records.items() for cpu in record.cpus}
    for (_, cpu), (name, record) in sorted(found.items(), key=lambda pair: (pair[0][0] != "tinyllama", pair[0])):
        yield name, record, cpu


def cpu_section(name: str, record: Record, cpu: str) -> list[str]:
    """A heading, where the figures come from, a table with a column for each contender, and who is ahead."""
    entries = [entry for entry in record.entries if entry.cpu == cpu]
    columns = [entry.contender for entry in entries]
    figures = [figure for key, figure in FIGURES.items() if any(key in entry.figures for entry in entries)]
    lines = [f"### {record.shape}, `-cpu {cpu}`", "", origin_text(name, record), ""]
    lines += [f"| | unit | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for figure in figures:
        cells = [
            spread_text(entry.figures[figure.name], figure) if figure.name in entry.figures else "" for entry in entries
        ]
        lines.append(f"| {figure.title} | {figure.unit} | {' | '.join(cells)} |")
    return [*lines, "", *lead_lines(entries), *kernel_lines(entries), *absent_lines(record, columns)]


def origin_text(name: str, record: Record) -> str:
    rounds = f"{record.rounds} rounds" if record.rounds > 1 else "1 round"
    return f"[{name}](benchmarks/history/{name}.json): {rounds} on {record.machine}; {record.emulator}."


def lead_lines(entries: list[Entry]) -> list[str]:
    """How many times faster ours is than each rival."""
    found = {entry.contender: entry for entry in entries}
    lines = []
    for ours in ("boardllama", "tuned"):
        leads = [
            f"{name} {median(found[rival].figures[name]) / median(found[ours].figures[name]):.2f}x {rival}"
            for rival in RIVALS
            for name in COMPARED
            if ours in found and rival in found
        ]
        lines += [f"{ours} is ahead by: {', '.join(leads)} (below 1, it is behind).", ""] if leads else []
    return lines


def kernel_lines(entries: list[Entry]) -> list[str]:
    """Which kernels answered, of those contenders that have several."""
    chosen = [f"{entry.contender} {entry.kernels}" for entry in entries if entry.kernels]
    return [f"Kernels chosen at run time: {', '.join(chosen)}.", ""] if chosen else []


def absent_lines(record: Record, columns: list[str]) -> list[str]:
    return [f"Without {name}: {reason}.\n" for name, reason in record.absent.items() if name not in columns]


def newest_cycles(records: Mapping[str, Record]) -> list[Cycles]:
    """The cycles of each core, of the newest record that has that core."""
    found = {one.model: record for record in records.values() for one in record.cycles}
    return [one for model in sorted(found) for one in found[model].cycles if one.model == model]


def cycles_section(cycles: list[Cycles]) -> list[str]:
    """The table of static cycles: a row for each kernel and core, two columns for each contender."""
    if not cycles:
        return []
    contenders = [name for name in CONTENDERS if any(one.contender == name for one in cycles)]
    lines = ["### Static cycles of the hot loops, millions a token", ""]
    lines += [f"| kernel | core | {' | '.join(f'{name}, prompt | {name}, generation' for name in contenders)} |"]
    lines += ["|---" * (2 + 2 * len(contenders)) + "|"]
    found = {(one.kernel, one.model, one.contender): one for one in cycles}
    for kernel, model in product(
        dict.fromkeys(one.kernel for one in cycles), dict.fromkeys(one.model for one in cycles)
    ):
        ours = [found.get((kernel, model, name)) for name in contenders]
        cells = [f"{one.prompt / 1e6:.2f} | {one.generation / 1e6:.2f}" if one else " | " for one in ours]
        lines.append(f"| {kernel} | {model} | {' | '.join(cells)} |")
    return [*lines, ""]
