"""Programs of the system, each with a deadline."""

import subprocess

DEADLINE = 30.0


class ProgramFailed(OSError):
    """A program ended badly, or not in time. The message has its last words."""


def end_of(*words: str, deadline: float = DEADLINE) -> subprocess.CompletedProcess[str] | None:
    """How a program ended and what it said; None when it does not end within `deadline` seconds. Raises OSError."""
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=deadline,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None


def run_command(*words: str, deadline: float = DEADLINE) -> str:
    """Standard output of a program that must succeed within `deadline` seconds. Raises ProgramFailed, OSError."""
    done = end_of(*words, deadline=deadline)
    if done is None:
        raise ProgramFailed(f"{words[0]} did not end within {deadline:.0f} s")
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()[-1]
        raise ProgramFailed(f"{words[0]}: {said}")
    return done.stdout
