"""`make fuzz`: gives every reader of strangers' bytes inputs that nobody meant, some millions of them.

What is found lies in the cache, in fuzz/findings. A run that was ended goes on where it was.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from deploy.paths import REPO, cache_dir
from tests.fuzz.reader import Reader
from tests.fuzz.readers import READERS
from tests.fuzz.report import table_lines, write_report
from tests.fuzz.worker import Current, Tried

TELL_SECONDS = 15.0
# Seconds of the processor without an input's end, after which a process hangs in a way that its own alarm does not end.
HANGS = 60.0
# Inputs after which a process makes room for the next: what Python's caches gain is not the reader's.
STRETCH = 500_000


def shares(inputs: int, readers: list[Reader]) -> dict[Reader, int]:
    """How many inputs each reader gets, by its pace."""
    whole = sum(reader.pace for reader in readers)
    return {reader: round(inputs * reader.pace / whole) for reader in readers}


def run_reader(reader: Reader, seed: int, count: int, folder: Path) -> Tried:
    """Has processes try the inputs of a reader until all are done."""
    note = folder / f"{reader.name}.json"
    while (tried := Tried.read(note, seed)).done < count:
        up_to = min(count, tried.done + STRETCH)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", reader.name, str(seed), str(up_to), str(folder)],
            cwd=REPO,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        if (why := await_end(process, reader, note, seed, count)) and Tried.read(note, seed).done < up_to:
            keep_death(reader, note, seed, folder, why)
    return tried


def await_end(process: "subprocess.Popen[bytes]", reader: Reader, note: Path, seed: int, count: int) -> str:
    """Says how far a process is, until its end. Returns why it did not end well; "" when it did."""
    last, since = -1, 0.0
    while True:
        try:
            said = process.communicate(timeout=TELL_SECONDS)[1].decode(errors="replace")
            return f"the process ended with {process.returncode}: {said[-2000:]}" if process.returncode else ""
        except subprocess.TimeoutExpired:
            tried = Tried.read(note, seed)
        if tried.done != last:
            last, since = tried.done, seconds_of(process.pid)
        found, speed = tried.found, tried.done / max(tried.seconds, 1)
        print(f"{reader.name}: {tried.done} of {count}, {speed:.0f} a second, {found} findings", flush=True)
        if seconds_of(process.pid) - since > HANGS:
            process.kill()
            process.communicate()
            return f"nothing came of it for {HANGS:.0f} s"


def seconds_of(process: int) -> float:
    """Seconds of the processor that a process has had; 0 when it has ended."""
    try:
        user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    except OSError:
        return 0.0
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def keep_death(reader: Reader, note: Path, seed: int, folder: Path, why: str) -> None:
    """Keeps the input with which a process died, and has the next one go on behind it."""
    number, data = Current(folder / f"{reader.name}.current").get()
    tried = Tried.read(note, seed)
    tried.findings["death of the process"] = tried.findings.get("death of the process", 0) + 1
    (folder / "findings").mkdir(parents=True, exist_ok=True)
    place = folder / "findings" / f"{reader.name}-{seed}-{number}"
    place.write_bytes(data)
    place.with_name(f"{place.name}.txt").write_text(why)
    tried.done = max(number, tried.done) + 1
    tried.write(note)


def main() -> int:
    """Returns the exit status: 1 when something was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="of all readers together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="the readers whose names begin so")
    parser.add_argument("--report", action="store_true", help="write the table of docs/explanation/fuzzing.md")
    told = parser.parse_args()
    readers = [reader for name, reader in READERS.items() if name.startswith(told.only)]
    folder = cache_dir() / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    tried = {
        reader.name: run_reader(reader, told.seed, count, folder)
        for reader, count in shares(told.inputs, readers).items()
    }
    print("\n".join(table_lines(tried)))
    if told.report:
        write_report(told.seed, tried)
    if found := sum(one.found for one in tried.values()):
        print(f"{found} findings: the first of each kind are in {folder / 'findings'}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
