"""docs/explanation/fuzzing.md: what was tried of every reader, and what came of it."""

from collections.abc import Mapping

from deploy.controller.programs import program_output
from deploy.paths import REPO
from tests.fuzz.reader import MEMORY, SECONDS
from tests.fuzz.worker import Tried

PAGE = REPO / "docs/explanation/fuzzing.md"
BEGIN, END = "<!-- tried: made by `make fuzz REPORT=1` -->", "<!-- end of tried -->"


def table_lines(tried: Mapping[str, Tried]) -> list[str]:
    """A row for each reader, and one for all of them."""
    rows = [row(name, [one]) for name, one in tried.items()]
    head = ["| reader | inputs | kept its promise | processor seconds | findings |", "|---|--:|--:|--:|--:|"]
    return [*head, *rows, row("**all**", list(tried.values()))]


def row(name: str, tried: list[Tried]) -> str:
    """One row."""
    done, good = sum(one.done for one in tried), sum(one.good for one in tried)
    seconds, found = sum(one.seconds for one in tried), sum(one.found for one in tried)
    return f"| {name} | {done:,} | {good:,} | {seconds:,.0f} | {found} |"


def write_report(seed: int, tried: Mapping[str, Tried]) -> None:
    """Puts the table into the page."""
    code = program_output("git", "-C", str(REPO), "describe", "--always", "--dirty", package="git").decode().strip()
    inputs = sum(one.done for one in tried.values())
    limits = f"{SECONDS:g} s of the processor and {MEMORY // 1_000_000} MB"
    said = f"`make fuzz INPUTS={inputs} SEED={seed}` of code {code}, each input within {limits}:"
    head, _, rest = PAGE.read_text().partition(BEGIN)
    tail = rest.partition(END)[2]
    PAGE.write_text("\n".join([f"{head}{BEGIN}", "", said, "", *table_lines(tried), "", f"{END}{tail}"]))
