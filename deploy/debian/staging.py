"""Where a thing is made before it gets its name: a folder beside it, which is gone at the end whatever happens."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.interrupts import uninterrupted


def remove_tree(folder: Path) -> None:
    """Removes what is there of it."""
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def staging_folder(parent: Path, remove: Callable[[Path], None] = remove_tree) -> Iterator[Path]:
    """A new folder in `parent`, which one run at a time may use. What a killed run left is removed first."""
    for left_over in parent.glob(".new-*"):
        remove(left_over)
    folder = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
    try:
        folder.chmod(0o755)  # an ordinary user's mmdebstrap works in it as other user ids
        yield folder
    finally:
        with uninterrupted():
            remove(folder)
