"""A word that stands for a secret, and who sees it: the command lines of all processes while something runs.

The same file runs on this machine and, as a program of its own, on a target: `python3 canary.py WORD_FILE SEEN_FILE`.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAUSE_SECONDS = 0.005


def command_lines() -> Iterator[tuple[int, bytes]]:
    """The processes of this machine, each with its words."""
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                yield int(place.name), (place / "cmdline").read_bytes()
            except OSError:  # it has ended meanwhile
                continue


def processes_with(word: bytes) -> set[str]:
    """The command lines in which the word stands now."""
    return {words.replace(b"\0", b" ").decode(errors="replace") for _, words in command_lines() if word in words}


def environments_with(word: bytes) -> set[str]:
    """The command lines of the processes in whose environment the word stands now."""
    found = set()
    for number, words in command_lines():
        try:
            if word in Path("/proc", str(number), "environ").read_bytes():
                found.add(words.replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


@contextmanager
def watched_command_lines(*words: str) -> Iterator[set[str]]:
    """The command lines in which one of the words stood at any time while the block ran."""
    seen: set[str] = set()
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(PAUSE_SECONDS):
            for word in words:
                seen.update(processes_with(word.encode()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        is_over.set()
        watcher.join()


def files_with(word: bytes, *folders: str | Path) -> list[str]:
    """The files below the folders that hold the word, also in their names."""
    found = []
    for folder in folders:
        for place, _, names in os.walk(folder):
            paths = [Path(place, name) for name in names]
            found += [str(path) for path in paths if word in os.fsencode(path) or holds(path, word)]
    return sorted(found)


def holds(path: Path, word: bytes) -> bool:
    """Whether a plain file has the word in it."""
    try:
        return path.is_file() and not path.is_symlink() and word in path.read_bytes()
    except OSError:
        return False


if __name__ == "__main__":
    told = Path(sys.argv[1]).read_bytes().split()
    while Path(sys.argv[1]).exists():
        for one in told:
            for line in processes_with(one):
                with Path(sys.argv[2]).open("a", encoding="utf-8") as seen_file:
                    seen_file.write(f"{line}\n")
        time.sleep(PAUSE_SECONDS)
