"""Lines of progress: the type of a function that takes them, and the usual one."""

import sys
from collections.abc import Callable

Say = Callable[[str], object]


def to_stderr(line: str) -> None:
    """Takes lines by default: standard output belongs to results."""
    print(line, file=sys.stderr, flush=True)
