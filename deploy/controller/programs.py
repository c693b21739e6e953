"""Runs short programs on the controller: each has a deadline, and its last words are in the error."""

import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

from deploy.errors import BoardllamaError

DEADLINE = 30.0


class Late(BoardllamaError):
    """A program did not end in time. It was killed."""


def program_output(
    *words: str,
    given: bytes = b"",
    env: Mapping[str, str] | None = None,
    deadline: float = DEADLINE,
    good: Collection[int] = (0,),
    package: str = "",
    name: str = "",
) -> bytes:
    """Standard output of a program that reads `given`. `good`: the exit statuses that are no error.

    `package`: the Debian package that errors name where the program is missing. `name`: what errors call the program,
    by default its file's name. Raises Late after `deadline` seconds, BoardllamaError with the program's last line.
    """
    name = name or Path(words[0]).name
    try:
        done = subprocess.run(words, input=given, capture_output=True, env=env, timeout=deadline, check=False)
    except FileNotFoundError:
        raise BoardllamaError(f"{name} is missing: apt-get install {package or name}") from None
    except subprocess.TimeoutExpired:
        raise Late(f"{name} did not end within {deadline:.0f} s") from None
    if done.returncode not in good:
        said = (done.stderr.strip() or done.stdout.strip()).decode(errors="replace") or f"status {done.returncode}"
        raise BoardllamaError(f"{name}: {said.splitlines()[-1]}")
    return done.stdout
