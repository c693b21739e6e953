"""Where a file or a folder is made before it gets its name: a folder beside it, gone at the end whatever happens."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.controller.files import folder_lock
from deploy.controller.interrupts import uninterrupted


def remove_tree(folder: Path) -> None:
    """Removes the folder with as much of its content as can be removed. A folder that is not there is no error."""
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def staging_folder(parent: Path, remove: Callable[[Path], None] = remove_tree) -> Iterator[Path]:
    """A new folder in `parent`, which `remove` takes away at the end.

    One run at a time may use a parent: staging folders that a killed run left in it are removed first.
    """
    for left_over in parent.glob(".new-*"):
        remove(left_over)
    folder = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
    try:
        folder.chmod(0o755)  # an ordinary user's mmdebstrap works in it as other user ids
        yield folder
    finally:
        with uninterrupted():
            remove(folder)


def ensure_folder(folder: Path, subject: str, make: Callable[[Path], None]) -> Path:
    """The folder of a cache, made first where it is not there: it is there whole, or not at all.

    `make` gets a staging folder and fills the folder `tree` in it. `subject` names what is made, to whoever waits for
    another process. Raises what `make` raises.
    """
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder_lock(folder.parent, subject):
        if not folder.exists():
            with staging_folder(folder.parent) as new:
                (new / "tree").mkdir()
                make(new)
                os.sync()
                (new / "tree").rename(folder)
    return folder
