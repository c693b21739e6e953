"""One deploy at a time: a lock on the target, held as long as the controller gives signs of life on standard input.

Sent to the target as text before anything of ours is there: `python3 -c … WHO`. The kernel frees the lock with this
process, so a controller that was killed leaves no lock behind. A controller that is silent for SILENCE seconds loses
the lock. Prints "held", or "busy WHO", or "failed WHY"; before that, a line "wait WHY" for each wait.
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
# Seconds. The controller gives a sign every BEAT; a holder is stale after STALE without a sign, and ends at SILENCE.
BEAT, STALE, SILENCE = 5, 15, 30


def run_lease(who: str) -> int:
    """Holds the lock for `who`. Returns the exit status: 75 when another deploy has the lock, 1 for an error."""
    try:
        return hold_until_silent(who)
    except OSError as error:
        print(f"failed {error}", flush=True)
        return 1


def hold_until_silent(who: str) -> int:
    """Takes the lock, waits for a switch that is under way, holds the lock. Returns as `run_lease`. Raises OSError."""
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
    """Locks the file. Returns None, or who has the lock. A holder without signs of life is waited for: it will end."""
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
    """Returns when no switch runs: a deploy whose controller went away may still be judging its release here.

    Each step of a switch has a deadline of its own.
    """
    told = ""
    while subprocess.run(["systemctl", "is-active", "--quiet", SWITCH], check=False).returncode == 0:
        if (step := last_step()) != told:
            print(f"wait the release of an earlier deploy is still being judged here: {step}", flush=True)
        told = step
        time.sleep(1)


def last_step() -> str:
    """What the switch said last."""
    words = ["journalctl", "--quiet", f"--unit={SWITCH}", "--output=cat", "--lines=1"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip() or "it begins"


if __name__ == "__main__":
    sys.exit(run_lease(sys.argv[1]))
