"""One deploy at a time: held on the target for as long as the other end gives signs of life on standard input.

Sent to the target as text before anything of ours is there: `python3 -c … WHO`. The kernel frees the lock with this
process, so a controller that was killed leaves none behind; one that went silent is given up after SILENCE seconds.
Prints "held", or "busy WHO", or "failed WHY"; "wait WHY" lines first.
"""

import fcntl
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

LOCK = Path("/run/boardllama/lock")
SWITCH = "boardllama-switch.service"
# The holder is told every BEAT seconds; one that missed three is stale, and ends at SILENCE.
BEAT, STALE, SILENCE = 5, 15, 30


def run_lease(who: str) -> int:
    """Returns the exit status."""
    try:
        return hold_lock(who)
    except OSError as error:
        print(f"failed {error}", flush=True)
        return 1


def hold_lock(who: str) -> int:
    """Takes the lock, waits for a switch that is under way, then holds on. Raises OSError."""
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("a+") as lock:
        holder = take_lock(lock)
        if holder is not None:
            print(f"busy {holder}", flush=True)
            return 75
        lock.truncate(0)
        print(who, file=lock, flush=True)
        await_switch()
        print("held", flush=True)
        while select.select([0], [], [], SILENCE)[0] and os.read(0, 4096):
            os.utime(LOCK)
    return 0


def take_lock(lock: IO[str]) -> "str | None":
    """None when the lock is ours, else who has it. A holder without signs of life is waited for: it ends."""
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "another deploy"
            silent = abs(time.time() - LOCK.stat().st_mtime)  # a board without a clock of its own may go back in time
            if silent < STALE:
                return holder
            print(f"wait {holder} is silent for {silent:.0f} s: its lock is given up at {SILENCE} s", flush=True)
            time.sleep(BEAT)


def await_switch() -> None:
    """A deploy whose controller went away may still be judging its release here."""
    while subprocess.run(["systemctl", "is-active", "--quiet", SWITCH], check=False).returncode == 0:
        print("wait the release of an earlier deploy is still being judged here", flush=True)
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(run_lease(sys.argv[1]))
