"""The setting `tune_system` on the board: the system set for speed, while a unit of ours is on.

`begin` at every start, `end` when the unit is stopped: what was before stands in a note in /run. No file of the
system changes, so a board whose unit is removed is as its maker made it.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from ..commands import run_command
from .bench import SPARE, free_memory
from .borrowed import Borrowed, give_back
from .system_costs import FASTEST, GOVERNORS, PAGES, costly_swaps

NOTE = Path("/run/boardllama/system.json")
SWAP_SECONDS = 300.0  # a card reads back what was put on it


def run_system_verb(words: list[str] | None = None, root: Path = Path("/"), note: Path = NOTE) -> int:
    """`boardllama system begin|end`. Returns the exit status."""
    verb = (words or sys.argv[2:])[0]
    wrong = list(begin_settings(root, note)) if verb == "begin" else give_back(note)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong and verb == "end" else 0


def begin_settings(root: Path, note: Path) -> Iterator[str]:
    """Sets what can be set. A sentence for each thing that cannot: a server without it is slower, and serves."""
    give_back(note)
    borrowed = Borrowed(note)
    for file, value in [*((file, FASTEST) for file in sorted(root.glob(GOVERNORS))), (root / PAGES, "always")]:
        try:
            if file.exists():
                borrowed.set_value(file, value)
        except OSError as error:
            yield f"{file} could not be set to {value}: {error.strerror or error}"
    for device, used in costly_swaps(root):
        if used + SPARE > free_memory(root):
            yield f"{device} stays: {used // 1_000_000} MB lie there, more than is free in memory"
            continue
        try:
            borrowed.take_swap(device)
            run_command("swapoff", device, deadline=SWAP_SECONDS)
        except OSError as error:
            yield str(error)
