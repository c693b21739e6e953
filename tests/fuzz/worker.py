"""Tries the inputs of one reader, in a process of its own: `python -m tests.fuzz.worker READER SEED UP_TO FOLDER`.

Input number N of a seed is always the same one. What was tried is noted in the folder: another process goes on there.
The input that is tried lies in a file that is memory, too: it is there to read when this process is killed by it.
"""

import json
import mmap
import struct
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from deploy.onboard.files import write_file
from tests.fuzz.mutator import LONGEST, Mutator
from tests.fuzz.reader import Reader, TooSlow, bounds, deadline, judge_input
from tests.fuzz.readers import READERS

NOTE_SECONDS = 5.0
KEPT = 3  # inputs of one kind of finding
TURN = 60.0  # seconds: a process that stands behind all others waits for its turn, and so do the threads that it asks
AGAIN = 2  # a machine that is busy may hold any input up once: a slow one is slow again
NUMBER = struct.Struct("<QI")


@dataclass
class Tried:
    """What was tried of a reader. `seconds`: of processor time. `findings`: how many, by what was raised and where."""

    seed: int
    done: int = 0
    good: int = 0
    seconds: float = 0.0
    findings: dict[str, int] = field(default_factory=dict)

    @property
    def found(self) -> int:
        """How many inputs broke the reader's promise."""
        return sum(self.findings.values())

    @staticmethod
    def read(path: Path, seed: int) -> "Tried":
        """What the file says of that seed; nothing tried where it says nothing."""
        with suppress(OSError, ValueError, TypeError):
            told = json.loads(path.read_text())
            if told["seed"] == seed:
                return Tried(**told)
        return Tried(seed)

    def write(self, path: Path) -> None:
        """Keeps it, through a power cut, too."""
        write_file(path, json.dumps(vars(self), indent=1).encode())


class Current:
    """The input that is tried now, in a file."""

    def __init__(self, path: Path) -> None:
        path.touch()
        with path.open("r+b") as file:
            file.truncate(NUMBER.size + LONGEST)
            self.memory = mmap.mmap(file.fileno(), 0)

    def put(self, number: int, data: bytes) -> None:
        """Notes an input before it is tried."""
        self.memory[: NUMBER.size] = NUMBER.pack(number, len(data))
        self.memory[NUMBER.size : NUMBER.size + len(data)] = data

    def get(self) -> tuple[int, bytes]:
        """The input that was tried last."""
        number, size = NUMBER.unpack(self.memory[: NUMBER.size])
        return number, self.memory[NUMBER.size : NUMBER.size + size]


def input_of(mutator: Mutator, seed: int, number: int) -> bytes:
    """The input of that number."""
    return mutator.make(Random(seed << 40 | number))


def try_inputs(reader: Reader, tried: Tried, up_to: int, folder: Path) -> None:
    """Tries the inputs that are left of so many, and notes how far it is."""
    mutator, current = Mutator(reader.examples(), reader.words), Current(folder / f"{reader.name}.current")
    note, noted, before = folder / f"{reader.name}.json", time.monotonic(), time.process_time() - tried.seconds
    with reader.surroundings(), bounds():
        while tried.done < up_to:
            data = input_of(mutator, tried.seed, tried.done)
            current.put(tried.done, data)
            if (error := broken_promise(reader, data)) is None:
                tried.good += 1
            else:
                keep_finding(folder / "findings", reader, tried, data, error)
            tried.done += 1
            if time.monotonic() - noted > NOTE_SECONDS:
                noted, tried.seconds = time.monotonic(), time.process_time() - before
                tried.write(note)
    tried.seconds = time.process_time() - before
    tried.write(note)


def broken_promise(reader: Reader, data: bytes) -> BaseException | None:
    """What the reader raised and must not; None when it kept its promise."""
    error: BaseException | None = None
    for _ in range(1 + AGAIN):
        try:
            with deadline(TURN):
                judge_input(reader, data)
            return None
        except TooSlow as slow:
            error = slow
        except Exception as other:
            return other
    return error


def keep_finding(folder: Path, reader: Reader, tried: Tried, data: bytes, error: BaseException) -> None:
    """Counts a finding, and keeps the first few of its kind: the bytes, and what they did."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = next((frame for frame in reversed(frames) if "/deploy/" in frame.filename), frames[-1])
    kind = f"{type(error).__name__} in {ours.filename.rpartition('/deploy/')[2]}:{ours.lineno}"
    tried.findings[kind] = tried.findings.get(kind, 0) + 1
    if tried.findings[kind] <= KEPT:
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / f"{reader.name}-{tried.seed}-{tried.done}"
        place.write_bytes(data)
        said = "".join(traceback.format_exception(error))
        place.with_name(f"{place.name}.txt").write_text(f"{kind}\n{said}", errors="backslashreplace")


if __name__ == "__main__":
    name, seed, up_to, place = sys.argv[1:]
    state = Tried.read(Path(place, f"{name}.json"), int(seed))
    try_inputs(READERS[name], state, int(up_to), Path(place))
