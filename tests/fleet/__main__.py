"""`python -m tests.fleet`: simulated boards of several numbers, and what each tool costs there."""

import argparse
import signal
import sys

from deploy.controller.files import folder_lock
from deploy.controller.progress import say_line
from deploy.errors import BoardllamaError, shown
from tests.bench.words import chosen_names
from tests.fleet.apart import is_inside, run_inside
from tests.fleet.board_tree import fleet_folder
from tests.fleet.boards import MOST_BOARDS
from tests.fleet.history import Record, keep_record, read_history
from tests.fleet.pages import write_pages
from tests.fleet.run import SCENARIOS, SMALLER, Run, remove_machines
from tests.fleet.tools import OURS, TOOLS

RIVALS = tuple(name for name in TOOLS if name != OURS)
NONE = "none"


def arguments() -> argparse.ArgumentParser:
    """The command line of this module, whose words are those of `make fleet`."""
    parser = argparse.ArgumentParser(prog="python -m tests.fleet", description="A fleet of simulated boards.")
    parser.add_argument("--n", default="10", help=f"boards of the largest fleet, at most {MOST_BOARDS} (10)")
    parser.add_argument("--sizes", default="", help=f"boards of each fleet; without it {SMALLER}, as far as smaller")
    parser.add_argument("--vms", default="2", help="how many of them are virtual machines (2)")
    parser.add_argument("--rivals", default="", help=f"of {', '.join(RIVALS)}, or {NONE}; all without it")
    parser.add_argument("--scenarios", default="", help=f"of {', '.join(SCENARIOS)}; all without it")
    parser.add_argument("--report", action="store_true", help="measure nothing, write the pages from the history")
    parser.add_argument("--unrecorded", action="store_true", help="keep no record, and write no pages")
    return parser


def run_of_words(options: argparse.Namespace) -> Run:
    """The run that the words mean. Raises BoardllamaError for words that mean none."""
    largest = counted("N", options.n, 1, MOST_BOARDS)
    sizes = [counted("SIZES", word, 1, MOST_BOARDS) for word in options.sizes.replace(",", " ").split()]
    rivals = () if options.rivals == NONE else chosen_names(options.rivals, RIVALS, "RIVALS")
    return Run(
        tuple(sorted(set(sizes))) or (*(size for size in SMALLER if size < largest), largest),
        counted("VMS", options.vms, 0, 10),
        rivals,
        chosen_names(options.scenarios, tuple(SCENARIOS), "SCENARIOS"),
    )


def counted(variable: str, text: str, least: int, most: int) -> int:
    """The number that a user typed. Raises BoardllamaError for a text that is none, or beyond its bounds."""
    if not text.isdecimal() or not least <= int(text) <= most:
        raise BoardllamaError(f"{variable}={shown(text)}: must be a number from {least} to {most}")
    return int(text)


def measure_outside(run: Run, words: list[str]) -> int:
    """Prepares the run, and runs it in namespaces. Nothing of it is left. Returns its status."""
    fleet_folder().mkdir(parents=True, exist_ok=True)
    with folder_lock(fleet_folder(), "fleet"):
        run.prepare()
        try:
            return run_inside("tests.fleet", words)
        finally:
            remove_machines(run.machines)


def measure_inside(run: Run, recorded: bool) -> int:
    """Measures, and keeps each record and writes the pages if the run is `recorded`. Returns 1 when something was
    otherwise than expected.
    """
    status = 0
    for record in run.measure():
        if recorded:
            say_line(f"fleet: {keep_record(record)}")
            write_pages(read_history())
        status = max(status, judge_record(record))
    return status


def judge_record(record: Record) -> int:
    """Prints the odd boards, and what became of requests. Exit status: 1 when anything was not as expected."""
    told = {f"{one.board}: {one.verdict} {one.reason}": one.as_expected for one in record.odd}
    told |= {one.summary: one.as_expected for one in record.under_load}
    for words, as_expected in told.items():
        print(f"{words}{'' if as_expected else ' (NOT as expected)'}")
    return 0 if all(told.values()) else 1


def main(words: list[str]) -> int:
    """Raises BoardllamaError: for words that mean nothing before anything is made."""
    options = arguments().parse_args(words)
    run = run_of_words(options)
    if options.report:
        write_pages(read_history())
        return 0
    return measure_inside(run, not options.unrecorded) if is_inside() else measure_outside(run, words)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except BoardllamaError as error:
        sys.exit(f"fleet: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing of the fleet is left")
