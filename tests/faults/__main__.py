"""`python -m tests.faults [--only FAULT/CHANGE] [--seed N] [--count N]`: the fault campaign, against a VM of its own.

Without --seed it goes on where it was interrupted: tries that this code has a result of are not made again.
$BOARDLLAMA_VM names the VM (default: faults).
"""

import argparse
import os
import signal
import sys
from fnmatch import fnmatch

from deploy.controller.files import folder_lock
from deploy.controller.interrupts import INTERRUPTED
from deploy.errors import BoardllamaError
from deploy.paths import REPO
from tests.faults.campaign import Results, attempt
from tests.faults.judge import Outcome
from tests.faults.lab import Lab, say
from tests.faults.report import page
from tests.faults.rows import Row, table

PAGE = REPO / "docs" / "explanation" / "faults.md"
FIRST_SEED = 1
# The lab itself may stumble, on a busy machine; when it does so often in a row, it is broken.
PATIENCE = 3


def arguments() -> argparse.ArgumentParser:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="The fault campaign.")
    parser.add_argument("--only", default="*", help="rows, as in power-cut/upgrade; * stands for anything")
    parser.add_argument(
        "--seed", type=int, help=f"of each row's first try ({FIRST_SEED}); what has a result runs again"
    )
    parser.add_argument("--count", type=int, help="tries of each row (as in the table)")
    parser.add_argument("--list", action="store_true", help="print the rows and run none")
    parser.add_argument(
        "--report", action="store_true", help="write docs/explanation/faults.md from the results there are"
    )
    parser.add_argument("--keep", action="store_true", help="leave the VM and its snapshots for the next run")
    return parser


def chosen(only: str) -> list[Row]:
    """The rows of that name or pattern. Raises BoardllamaError when there are none."""
    found = [row for row in table() if fnmatch(row.name, only) or row.name.startswith(f"{only}/")]
    if not found:
        raise BoardllamaError(f"--only {only} names no row: see --list")
    return found


def run(lab: Lab, results: Results, rows: list[Row], seed: int | None, count: int | None) -> int:
    """Makes the tries; the number of boards lost."""
    tries = [(row, (seed or FIRST_SEED) + number) for row in rows for number in range(count or row.count)]
    if seed is None:
        tries = [(row, number) for row, number in tries if not results.has(row, number)]
    lost = failures = 0
    for done, (row, number) in enumerate(tries, 1):
        try:
            result = attempt(lab, row, number)
        except BoardllamaError as error:
            failures += 1
            say(f"{done}/{len(tries)} {row.name} --seed {number}: not tried: {error}")
            if failures == PATIENCE:
                raise
            continue
        failures = 0
        results.add(result)
        lost += result.outcome == Outcome.LOST.value
        say(f"{done}/{len(tries)} {result}")
    return lost


def main(words: list[str]) -> int:
    """Exit status: 1 when a board was lost. Raises BoardllamaError when the lab itself fails."""
    options = arguments().parse_args(words)
    lab = Lab(os.environ.get("BOARDLLAMA_VM") or "faults")
    results = Results(REPO / ".vm" / f"{lab.name}-results.jsonl")
    rows = chosen(options.only)
    if options.list:
        print("\n".join(f"{row.name} x {row.count}" for row in rows))
        return 0
    lost = 0
    try:
        if not options.report:
            with folder_lock(lab.folder.parent, f"campaign on {lab.name}"):
                lost = run(lab, results, rows, options.seed, options.count)
            if not options.keep:
                lab.wipe()
    finally:
        # After an interruption the snapshots stay, so that the next run goes on at once.
        every = list(table())
        if options.report or (options.only == "*" and options.seed is None):  # a page of a few rows would replace it
            PAGE.write_text(page(results.present(every), {row.name: row.count for row in every}))
        if not options.report and not options.keep:
            lab.off()
    return 1 if lost else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except BoardllamaError as error:
        sys.exit(f"faults: {error}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
