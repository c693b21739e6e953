"""`make mutants`: puts small faults into deploy/onboard and deploy/stages, and says which no unit test notices."""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from deploy.paths import REPO
from tests.mutants.box import Box
from tests.mutants.mutations import Mutation, list_mutations
from tests.mutants.traces import ROOMS, Traces, read_traces

NOT_FOUND = 4  # pytest: a test of that name is not there any more


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="mutants to try, each on a line of its own")
    parser.add_argument("--seed", type=int, default=1, help="chooses the lines and the faults")
    parser.add_argument("--only", default="", help="only files whose path contains this")
    return parser.parse_args()


def choose(count: int, seed: int, only: str) -> list[Mutation]:
    """So many lines, evenly over all of them, and of each a fault; in the order of the files."""
    files = sorted(str(path.relative_to(REPO)) for room in ROOMS for path in (REPO / room).rglob("*.py"))
    lines: dict[tuple[str, int], list[Mutation]] = {}
    for path in (path for path in files if only in path):
        for mutation in list_mutations(path, (REPO / path).read_text()):
            lines.setdefault((path, mutation.line), []).append(mutation)
    chance = random.Random(seed)
    chosen = [chance.choice(lines[place]) for place in chance.sample(sorted(lines), min(count, len(lines)))]
    return sorted(chosen, key=lambda mutation: (mutation.path, mutation.line))


def is_killed(mutation: Mutation, box: Box, traces: Traces) -> bool:
    """Whether a test fails, or hangs, with the fault in place."""
    rounds = traces.rounds(box, mutation.path, mutation.line)
    box.write(mutation.path, mutation.text())
    try:
        return any(fails(tests, box, traces) for tests in rounds)
    finally:
        box.write(mutation.path, mutation.module.code)


def fails(tests: list[str], box: Box, traces: Traces) -> bool:
    """Whether one of the tests does, or hangs. Where a mutant renames tests, their files are run as a whole."""
    deadline = 20 + 5 * max(traces.seconds[test] for test in tests)
    ends = ["-o", f"faulthandler_timeout={deadline}", "-o", "faulthandler_exit_on_timeout=true"]
    pytest = ["-m", "pytest", "-x", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *ends]
    status = box.run([*pytest, *tests])
    if status == NOT_FOUND:
        status = box.run([*pytest, *sorted({test.partition("::")[0] for test in tests})])
    return status != 0


def try_all(mutations: list[Mutation], box: Box) -> list[Mutation]:
    """Tries each mutant. Returns the survivors."""
    traces, survivors, began = read_traces(box), [], time.monotonic()
    if any(fails(tests, box, traces) for tests in traces.rounds(box, mutations[0].path, mutations[0].line)[:1]):
        sys.exit(f"a test fails without any fault:\n{box.said()}")
    for number, mutation in enumerate(mutations, 1):
        killed = is_killed(mutation, box, traces)
        word = "killed" if killed else "SURVIVED"
        spent = time.monotonic() - began
        print(f"{number}/{len(mutations)} {spent:.0f} s: {word} {mutation.path}:{mutation.line}", flush=True)
        if not killed:
            survivors.append(mutation)
            print(mutation.diff(), flush=True)
    return survivors


def show(mutations: list[Mutation], survivors: list[Mutation]) -> None:
    """The table: each folder with its mutants, those that were killed, and the share."""
    tried, alive = (Counter(str(Path(one.path).parent) for one in some) for some in (mutations, survivors))
    tried["all"], alive["all"] = len(mutations), len(survivors)
    print(f"\n{'folder':28}{'mutants':>8}{'killed':>8}{'%':>6}")
    for folder, count in tried.items():
        killed = count - alive[folder]
        print(f"{folder:28}{count:8}{killed:8}{100 * killed / max(count, 1):6.0f}")


def main() -> None:
    """Runs what the command line asks for."""
    wanted = arguments()
    mutations = choose(wanted.count, wanted.seed, wanted.only)
    if not mutations:
        sys.exit(f"mutants: ONLY={wanted.only} is in the path of no file of {' or '.join(ROOMS)}")
    with tempfile.TemporaryDirectory(prefix="mutants-", dir="/var/tmp") as folder:
        show(mutations, try_all(mutations, Box(Path(folder))))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the copy goes, too
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
