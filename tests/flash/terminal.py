"""A terminal, as a person sits at it."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from deploy.paths import REPO


class Terminal:
    """What a program on a terminal has said so far, and keys for it."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            command,
            cwd=REPO,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: take_terminal(slave),
        )
        os.close(slave)
        self.said = ""

    def until(self, pattern: str, deadline: float = 60) -> str:
        """Reads until the pattern has been said. Returns all that was said."""
        end = time.monotonic() + deadline
        while not re.search(pattern, self.said):
            assert time.monotonic() < end, f"no {pattern!r} within {deadline} s in:\n{self.said}"
            if select.select([self.master], [], [], 0.2)[0]:
                with suppress(OSError):
                    self.said += os.read(self.master, 65536).decode(errors="replace")
            elif self.process.poll() is not None:
                assert re.search(pattern, self.said), f"it ended without {pattern!r}:\n{self.said}"
        return self.said

    def type(self, keys: str) -> None:
        """Sends keys, as from the keyboard."""
        os.write(self.master, keys.encode())

    def hang_up(self) -> None:
        """Closes the terminal, as a window that is closed or a line that is cut."""
        os.close(self.master)
        self.master = -1

    def ended(self, deadline: float = 30) -> int:
        """The exit status, when the program has ended. Reads all the while: the buffer of a terminal is small."""
        end = time.monotonic() + deadline
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it did not end within {deadline} s:\n{self.said}"
            if self.master >= 0 and select.select([self.master], [], [], 0.1)[0]:
                with suppress(OSError):
                    self.said += os.read(self.master, 65536).decode(errors="replace")
            elif self.master < 0:
                time.sleep(0.05)
        with suppress(OSError):
            while self.master >= 0 and select.select([self.master], [], [], 0)[0]:
                self.said += os.read(self.master, 65536).decode(errors="replace")
        return self.process.returncode


def take_terminal(slave: int) -> None:
    """Makes the terminal the one that sends Ctrl-C and hanging up to this process."""
    import fcntl
    import termios

    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


@contextmanager
def open_terminal(command: list[str], environment: dict[str, str]) -> Iterator[Terminal]:
    """A program on a terminal of its own. It is killed afterwards if it has not ended."""
    found = Terminal(command, environment)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.process.kill()
        found.process.wait()
        if found.master >= 0:
            found.hang_up()
