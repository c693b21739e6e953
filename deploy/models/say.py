"""Where lines of progress go."""

import sys
from collections.abc import Callable

Say = Callable[[str], object]


def to_stderr(line: str) -> None:
    """Default of every progress argument: stdout belongs to results."""
    print(line, file=sys.stderr, flush=True)
