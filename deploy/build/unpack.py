"""Runs on the builder with nothing but Python's standard library: unpacks llama.cpp and changes it by our patches.

    python3 unpack.py ARCHIVE DESTINATION PATCH...

DESTINATION becomes the llama.cpp tree inside the archive, and appears whole, by rename. A patch is a unified diff with
paths below a/ and b/. It fits when every line that it shows stands where it says; then all of it is applied, else
nothing of it, and a line says so: other sources are built as they are. Errors are one line, exit status 1.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")
TARGET = re.compile(r"\+\+\+ b/(\S+)")


class Hunk(NamedTuple):
    """One place of a file. `start`: number of its first line, 0 in a file that the patch creates."""

    start: int
    old: list[str]
    new: list[str]


class SourceError(Exception):
    """One line: what was seen, which rule, what to do."""


class UnfitError(Exception):
    """The source is not as the patch shows it."""


def read_text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def read_hunks(patch: str) -> dict[str, list[Hunk]]:
    """The hunks of every file that the patch changes, in the order of the file."""
    files: dict[str, list[Hunk]] = {}
    hunks: list[Hunk] = []
    lines = iter(patch.split("\n"))
    for line in lines:
        if named := TARGET.match(line):
            hunks = files.setdefault(named[1], [])
        elif found := HUNK.match(line):
            hunks.append(read_hunk(lines, int(found[1]), int(found[2] or 1), int(found[3] or 1)))
    return files


def read_hunk(lines: Iterator[str], start: int, old_count: int, new_count: int) -> Hunk:
    """A hunk ends by its counts: a line that it removes may look like the head of the next file."""
    hunk = Hunk(start, [], [])
    while len(hunk.old) < old_count or len(hunk.new) < new_count:
        line = next(lines)
        if line[:1] in ("-", " ", ""):
            hunk.old.append(line[1:])
        if line[:1] in ("+", " ", ""):
            hunk.new.append(line[1:])
    return hunk


def changed_text(text: str, hunks: list[Hunk]) -> str:
    """The file after its hunks. Raises UnfitError."""
    lines, changed, at = text.split("\n"), [], 0
    for hunk in hunks:
        begin = max(hunk.start - 1, 0)
        if lines[begin : begin + len(hunk.old)] != hunk.old:
            raise UnfitError
        changed += lines[at:begin] + hunk.new
        at = begin + len(hunk.old)
    return "\n".join(changed + lines[at:])


def changed_files(tree: Path, patch: str) -> dict[Path, str]:
    """Every file as it is after the patch. Raises UnfitError."""
    changed = {}
    for name, hunks in read_hunks(patch).items():
        path = tree / name
        if path.is_file() != (hunks[0].start > 0):
            raise UnfitError
        changed[path] = changed_text(read_text(path) if path.is_file() else "", hunks)
    return changed


def apply_patch(tree: Path, patch: Path) -> None:
    """Writes nothing unless all of the patch fits. Raises UnfitError."""
    for path, text in changed_files(tree, read_text(patch)).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))


def root_in(names: list[str]) -> str:
    """The folder of the archive that holds llama.cpp: the shortest one with both ggml and tools/server in it."""
    mark = "ggml/CMakeLists.txt"
    known = set(names)
    roots = [name[: -len(mark)] for name in names if name == mark or name.endswith("/" + mark)]
    roots = [root for root in roots if f"{root}tools/server/CMakeLists.txt" in known]
    if not roots:
        raise SourceError("the archive holds no llama.cpp: no folder with ggml/CMakeLists.txt and tools/server in it")
    return min(roots, key=len)


def unpack(archive: Path, aside: Path) -> None:
    """Writes the llama.cpp tree inside the archive. Raises SourceError."""
    try:
        with tarfile.open(archive) as tar:
            names = {os.path.normpath(member.name): member for member in tar}
            root = root_in(list(names))
            for name, member in names.items():
                # .git would let CMake take the version of whatever repository is around it
                if name.startswith(root) and name != f"{root}.git" and not name.startswith(f"{root}.git/"):
                    write_member(tar, member, aside, name[len(root) :])
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SourceError(f"{archive}: {error}; it must be a .tar, .tar.gz, .tar.bz2 or .tar.xz archive") from error


def write_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, name: str) -> None:
    """Plain files and links that stay inside; a hostile archive cannot write elsewhere."""
    target = folder / name
    if ".." in PurePosixPath(name).parts or not target.resolve().is_relative_to(folder.resolve()):
        raise SourceError(f"the archive has a member outside of its folder: {member.name}")
    if member.issym():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(member.linkname)
    elif member.isfile() or member.islnk():
        target.parent.mkdir(parents=True, exist_ok=True)
        content = tar.extractfile(member)
        if content is not None:
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)


def unpack_patched(archive: Path, destination: Path, patches: list[Path]) -> None:
    """The patched tree becomes destination, which appears whole. Prints a line for a patch that does not fit."""
    aside = destination.with_name(f"{destination.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    unpack(archive, aside)
    for patch in patches:
        try:
            apply_patch(aside, patch)
        except UnfitError:
            print(f"{patch.name} is for another source: this one is built without that patch")
    aside.rename(destination)


def main(arguments: list[str]) -> int:
    archive, destination, *patches = map(Path, arguments)
    try:
        unpack_patched(archive, destination, patches)
    except (SourceError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
