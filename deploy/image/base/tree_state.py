"""What is in a root file system, without its files' content: compared before and after, it says what a deploy has done.

debugfs reads it while nobody has it open. By way of fuse2fs, which searches all folders from the root on for each path,
the same takes ten times as long.
"""

import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from deploy.controller.files import sha256_of
from deploy.errors import BoardllamaError
from deploy.image.base.root_file_system import CLOCK

ROOT_INODE = 2
# A line of `ls -p`: the inode's number, its mode, its owner, its group, a name, which may hold line ends, and a size.
# Or what debugfs writes around such lines: the command, and an empty line.
LISTED = re.compile(rb"/(\d+)/(\d+)/(\d+)/(\d+)/([^/]*)/\d*/\n|debugfs: ls -p <(\d+)>\n|\n")
ASKED = re.compile(rb"^debugfs: stat <(\d+)>\n", re.MULTILINE)
TOLD = re.compile(
    rb"Flags: (?P<flags>0x[0-9a-f]+)\n.*? Size: (?P<size>\d+)\n"
    rb".*? ctime: (?P<changed>0x[0-9a-f:]+) .*? mtime: (?P<modified>0x[0-9a-f:]+) ",
    re.DOTALL,
)

# Gives the standard output of debugfs for commands.
AskDebugfs = Callable[[Iterable[str]], bytes]


class TreeEntry(NamedTuple):
    """What the inode of a path says. `modified`, `changed`: as debugfs has them, `SECONDS:REST`, hexadecimal."""

    mode: int
    uid: int
    gid: int
    size: int
    flags: str
    modified: str
    changed: str

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_ours(self) -> bool:
        """A file that bears our clock's time, of which no time tells whether it was written once more."""
        return stat.S_ISREG(self.mode) and int(self.changed.split(":")[0], 16) == CLOCK


TreeState = Mapping[str, TreeEntry]


@dataclass(frozen=True)
class Changes:
    """Paths below the root, without a slash before them, sorted. Folders of which only times changed are left out."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


class ListedPath(NamedTuple):
    """A path as its folder lists it. `path` is empty for the root; `inode`: its number."""

    path: bytes
    inode: int
    mode: int
    uid: int
    gid: int


def read_state(ask: AskDebugfs) -> TreeState:
    """Every path of the file system but its root, which has no name; others as os.fsdecode has them.

    Raises BoardllamaError for a file system that debugfs cannot tell.
    """
    found = list(list_paths(ask))
    told = read_inodes(ask, sorted({listed.inode for listed in found}))
    return {os.fsdecode(one.path): TreeEntry(one.mode, one.uid, one.gid, *told[one.inode]) for one in found}


def list_paths(ask: AskDebugfs) -> Iterator[ListedPath]:
    """Every path, folders before what they hold; each level of folders is asked for at once."""
    level = {ROOT_INODE: b""}
    while level:
        found = list(listed_paths(ask(f"ls -p <{inode}>" for inode in level), level))
        yield from found
        level = {one.inode: one.path + b"/" for one in found if stat.S_ISDIR(one.mode)}


def listed_paths(listing: bytes, folders: Mapping[int, bytes]) -> Iterator[ListedPath]:
    """The rows of `ls -p` of some folders. `folders`: by inode, what stands before the names in them."""
    place, before = 0, b""
    while row := LISTED.match(listing, place):
        place = row.end()
        inode, mode, uid, gid, name, folder = row.groups()
        if folder:
            before = folders[int(folder)]
        elif name not in (None, b"", b".", b".."):
            yield ListedPath(before + name, int(inode), int(mode, 8), int(uid), int(gid))
    if place != len(listing):
        raise untold(listing[place : place + 80])


def read_inodes(ask: AskDebugfs, inodes: Collection[int]) -> dict[int, tuple[int, str, str, str]]:
    """Size, flags, mtime and ctime of inodes, by their numbers. Raises BoardllamaError."""
    said = ask(f"stat <{inode}>" for inode in inodes)
    asked = list(ASKED.finditer(said))
    # A link may hold such a line in what it leads to: then there are more lines than questions.
    if [int(line[1]) for line in asked] != list(inodes):
        raise untold(b"it holds links with lines of debugfs in them")
    ends = [line.start() for line in asked[1:]] + [len(said)]
    return {int(line[1]): told_inode(said[line.end() : end]) for line, end in zip(asked, ends, strict=True)}


def told_inode(said: bytes) -> tuple[int, str, str, str]:
    """Size, flags, mtime and ctime in what `stat` says. Raises BoardllamaError."""
    told = TOLD.search(said)
    if not told:
        raise untold(said[:80])
    flags, modified, changed = (told[name].decode() for name in ("flags", "modified", "changed"))
    return int(told["size"]), flags, modified, changed


def untold(said: bytes) -> BoardllamaError:
    return BoardllamaError(f"the base's root file system cannot be listed ({said!r}): get the base again, or another")


def hash_ours(tree: Path, state: TreeState) -> dict[str, str]:
    """The sha256 of each file in the opened tree that an earlier run has made, by its path."""
    return {name: sha256_of(tree / name) for name, entry in state.items() if entry.is_ours}


def rewritten_files(tree: Path, ours: Mapping[str, str]) -> frozenset[str]:
    """Those files that are in the tree and do not have the sha256 that they had."""
    return frozenset(name for name in ours if (tree / name).is_file() and sha256_of(tree / name) != ours[name])


def compare_states(before: TreeState, after: TreeState, rewritten: Set[str] = frozenset()) -> Changes:
    """What was done between two states of a tree. `rewritten`: files whose inodes may say nothing of it."""

    def is_changed(name: str) -> bool:
        one, other = before[name], after[name]
        if one.is_folder and other.is_folder:
            return one[:3] != other[:3]
        return one != other or name in rewritten

    return Changes(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(name for name in before.keys() & after.keys() if is_changed(name))),
        tuple(sorted(before.keys() - after.keys())),
    )
