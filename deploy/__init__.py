"""Deploys of boardllama: what turns an arm64 board into a verified LLM appliance."""

import sys
from types import TracebackType


def tell_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ends a command in a word at Ctrl-C, also while it still imports what it needs, and nothing has been begun."""
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = tell_end
