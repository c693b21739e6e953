"""What a deploy has put into a vendor's tree: cleaned, and judged by the rules for all images.

The vendor's own files are neither swept nor judged. Of a file that both have written only the new lines count.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from deploy.debian.word_lists import read_words
from deploy.image.base.root_file_system import CLOCK
from deploy.image.base.tree_state import Changes, TreeState
from deploy.image.leaks import JudgedFile, Traces, judge_path, overlapping, refuse_findings
from deploy.image.unpacked_tree import SWEPT

# Bytes of a configuration. What is larger below /etc is a table of hardware, or certificates, and no deploy changes it.
LARGEST_KEPT = 1 << 20


def keep_configuration(tree: Path, before: TreeState) -> dict[str, bytes]:
    """The content of the vendor's files below /etc, by their paths."""
    files = [name for name, entry in before.items() if name.startswith("etc/") and stat.S_ISREG(entry.mode)]
    return {name: (tree / name).read_bytes() for name in files if before[name].size <= LARGEST_KEPT}


def sweep_additions(tree: Path, changes: Changes) -> Changes:
    """Removes the added files that no image may hold, and which swept.txt names. Returns the changes that are left."""
    patterns = read_words(SWEPT)
    swept = {
        name
        for name in changes.added
        if any(fnmatchcase(f"./{name}", pattern) for pattern in patterns) and not is_folder(tree / name)
    }
    for name in swept:
        (tree / name).unlink()
    return replace(changes, added=tuple(name for name in changes.added if name not in swept))


def is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)


def date_additions(tree: Path, changes: Changes) -> None:
    """Gives what was added or changed a time that does not depend on when it was done: CLOCK at the latest."""
    for name in (*changes.added, *changes.changed):
        if (tree / name).lstat().st_mtime > CLOCK:
            os.utime(tree / name, (CLOCK, CLOCK), follow_symlinks=False)


def refuse_baked(tree: Path, changes: Changes, kept: Mapping[str, bytes], traces: Traces) -> None:
    """Raises BoardllamaError that names what was added or changed and no image may hold. `kept`: the vendor's words."""
    files = (judged_file(tree, name, kept.get(name)) for name in (*changes.added, *changes.changed))
    refuse_findings([line for file in files for line in judge_path(file, frozenset(), traces)])


def judged_file(tree: Path, name: str, before: bytes | None) -> JudgedFile:
    """A path of the tree as the rules judge it. `before`: the vendor's content, whose lines do not count."""
    path, mode = tree / name, (tree / name).lstat().st_mode
    if stat.S_ISLNK(mode):
        return JudgedFile(name, link=str(path.readlink()))
    if not stat.S_ISREG(mode):
        return JudgedFile(name)
    if before is None:
        return JudgedFile(name, size=path.stat().st_size, pieces=lambda: read_pieces(path))
    content = new_lines(before, path.read_bytes())
    return JudgedFile(name, size=len(content), pieces=lambda: iter([content]))


def new_lines(before: bytes, after: bytes) -> bytes:
    """The lines of a content that an older content does not have."""
    known = set(before.splitlines())
    return b"".join(line + b"\n" for line in after.splitlines() if line not in known)


def read_pieces(path: Path) -> Iterator[bytes]:
    """A file's bytes as overlapping pieces."""
    with path.open("rb") as file:
        yield from overlapping(file)
