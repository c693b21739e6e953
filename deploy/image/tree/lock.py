"""One run at a time on a tree."""

import fcntl
import os
from pathlib import Path

from deploy.errors import BoardllamaError


class InUse(BoardllamaError):
    """Another process works on the tree."""


def lock_tree(tree: Path) -> int:
    """Locks the tree's folder itself, so that no lock file gets into the tree, and returns the handle.

    The tree is free again when the handle is closed or its process has ended. Raises InUse, OSError.
    """
    handle = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise InUse(f"another run works on {tree}: wait for it, or use another tree") from None
    return handle
