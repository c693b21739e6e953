"""`python -m deploy.rehearsal INVENTORY [--limit HOST] [--model NAME] [--junit FILE] [--json]`"""

import argparse
import json
import sys
from pathlib import Path

from deploy.controller.product import read_targets
from deploy.controller.verb_parser import verb_parser
from deploy.errors import BoardllamaError
from deploy.fleet import report_files, report_table
from deploy.fleet.report_row import Row
from deploy.rehearsal.kinds import rehearsals_of
from deploy.rehearsal.virtual_board import hold_rehearsal
from deploy.setting_rules import REPORT


def rehearsal_arguments() -> argparse.ArgumentParser:
    """The command line of this module."""
    parser = verb_parser(
        "rehearse",
        "Tries an inventory on virtual boards.",
        "boards.py",
        "fleet.py --limit raspberry_pi_5 --model smoke --junit rehearsal.xml",
    )
    parser.add_argument("inventory", type=Path)
    parser.add_argument("--limit", action="append", default=[], metavar="HOST", help="these hosts or groups alone")
    parser.add_argument("--model", help="in place of the inventory's: smoke takes a minute")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="leave the result there, as CI systems read it")
    parser.add_argument("--json", action="store_true", help="for a program that reads it")
    return parser


def rehearse(words: list[str]) -> int:
    """Tries each rehearsal of an inventory. Returns 0 when all were good. Raises BoardllamaError, OSError."""
    told = rehearsal_arguments().parse_args(words)
    if told.junit and not REPORT.holds(str(told.junit)):
        raise BoardllamaError(f"--junit is {str(told.junit)!r}: it must be {REPORT.text}")
    targets = read_targets(told.inventory)
    if not targets:
        raise BoardllamaError(f"{told.inventory} has no targets: there is nothing to rehearse")
    wanted = [one for one in targets if not told.limit or {one[0], *one[1]} & {*told.limit}]
    if not wanted:
        raise BoardllamaError(f"--limit {' '.join(told.limit)}: the targets are {', '.join(one[0] for one in targets)}")
    rehearsals = rehearsals_of(wanted, {"model": told.model, "models": []} if told.model else {})
    rows = [hold_rehearsal(rehearsal) for rehearsal in rehearsals]
    if told.junit:
        report_files.write_whole(told.junit, report_files.as_junit(rows, ""))
    print(json.dumps([row.json_values() for row in rows], indent=1) if told.json else table(rows))
    return 0 if all(row.good for row in rows) else 1


def table(rows: list[Row]) -> str:
    """A line for each virtual board, one that counts, and the reasons."""
    lines = [line for line in report_table.report_lines(rows, []) if "To try again" not in line]
    return "\n".join([*lines, *(f"{row.host}: {row.reason}" for row in rows if "\n" in row.reason)])


if __name__ == "__main__":
    try:
        sys.exit(rehearse(sys.argv[1:]))
    except (BoardllamaError, OSError) as error:
        sys.exit(f"boardllama: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the virtual board is gone")
