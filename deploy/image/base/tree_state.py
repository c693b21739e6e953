"""What is in a tree, without its files' content: compared before and after, it says what a deploy has done to it."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from deploy.controller.files import sha256_of
from deploy.image.base.root_file_system import CLOCK


class TreeEntry(NamedTuple):
    """What lstat says of a path. `changed`: its ctime in seconds. `sha256`: only where the times cannot tell."""

    mode: int
    uid: int
    gid: int
    size: int
    modified: int
    changed: int
    sha256: str = ""

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


TreeState = Mapping[str, TreeEntry]


@dataclass(frozen=True)
class Changes:
    """Paths below the root, without a slash before them, sorted. Folders of which only times changed are left out."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def read_state(tree: Path) -> TreeState:
    """Every path of the tree, from its root on, which has no name of its own and is left out."""
    return dict(walk_entries(str(tree), ""))


def walk_entries(tree: str, below: str) -> Iterator[tuple[str, TreeEntry]]:
    """The entries below a folder. Names that are not UTF-8 are kept as os.fsdecode has them."""
    with os.scandir(f"{tree}/{below}") as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = f"{below}{entry.name}"
        # Asked once: each question to fuse2fs searches all folders from the root on.
        state = entry_of(Path(tree, name), entry.stat(follow_symlinks=False))
        yield name, state
        if state.is_folder:
            yield from walk_entries(tree, f"{name}/")


def entry_of(path: Path, found: os.stat_result) -> TreeEntry:
    """The entry of a path, of which lstat has found that. A file that bears our clock's time is told by its content."""
    changed = int(found.st_ctime)
    ours = changed == CLOCK and stat.S_ISREG(found.st_mode)
    content = sha256_of(path) if ours else ""
    return TreeEntry(found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns, changed, content)


def compare_states(before: TreeState, after: TreeState) -> Changes:
    """What was done between two states of a tree."""

    def is_changed(name: str) -> bool:
        one, other = before[name], after[name]
        return one[:3] != other[:3] if one.is_folder and other.is_folder else one != other

    return Changes(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(name for name in before.keys() & after.keys() if is_changed(name))),
        tuple(sorted(before.keys() - after.keys())),
    )
