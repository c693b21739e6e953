"""`python -m tests.bench`: every contender on every CPU, measured in turn, for docs/explanation/benchmarks.md.

A run that was ended goes on with what it has. `--report` measures nothing and writes the pages from the history.
"""

import argparse
import signal
import sys

from deploy.controller.files import folder_lock
from deploy.controller.interrupts import INTERRUPTED
from deploy.controller.progress import say_line
from deploy.controller.verb_parser import verb_parser
from deploy.errors import BoardllamaError
from deploy.paths import cache_dir
from tests.bench.contenders import CONTENDERS, CPUS
from tests.bench.emulation import check_controller
from tests.bench.history import NEWEST, Record, find_record, keep_record, read_history, regressions
from tests.bench.pages import write_pages
from tests.bench.run import Run
from tests.bench.shapes import SHAPES


def arguments() -> argparse.ArgumentParser:
    """The command line of this module, whose words are those of `make bench`."""
    parser = verb_parser("bench", "Speed, side by side.", "--shape small --cpus cortex-a76 --rounds 5", "--report")
    parser.add_argument("--cpus", default="", help=f"QEMU's -cpu, of {', '.join(CPUS)}; all without it")
    parser.add_argument("--contenders", default="", help=f"of {', '.join(CONTENDERS)}; all without it")
    parser.add_argument("--rounds", default="5", help="how often each is measured (5)")
    parser.add_argument("--shape", default="tinyllama", help=f"of {', '.join(SHAPES)}")
    parser.add_argument("--against", default="", help=f"a record, or {NEWEST}: says what became worse by 5 %%")
    parser.add_argument("--report", action="store_true", help="measure nothing, write the pages from the history")
    return parser


def measure(run: Run) -> Record:
    """Measures, keeps the record, and writes the pages. Raises BoardllamaError."""
    check_controller()
    folder = cache_dir() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    with folder_lock(folder, "bench"):
        record = run.measure(lambda record: say_line(f"bench: {keep_record(record)}"))
    write_pages(read_history())
    return record


def compare(before: Record, after: Record) -> int:
    """Prints what became worse. Exit status: 1 when anything did. Raises BoardllamaError."""
    worse = regressions(before, after)
    print("\n".join(f"regression: {line}" for line in worse) or "no regression of 5 %")
    return 1 if worse else 0


def main(words: list[str]) -> int:
    """Raises BoardllamaError: for words that mean nothing before anything is made."""
    options = arguments().parse_args(words)
    if options.report and options.against == NEWEST:
        raise BoardllamaError(f"AGAINST={NEWEST} with REPORT=1 is the newest record against itself: name an older one")
    run = Run.of_words(options.cpus, options.contenders, options.rounds, options.shape)
    before = find_record(options.against, run.shape.name) if options.against else None
    if options.report:
        write_pages(read_history())
        return compare(before, find_record(NEWEST, run.shape.name)) if before else 0
    after = measure(run)
    return compare(before, after) if before else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except BoardllamaError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
