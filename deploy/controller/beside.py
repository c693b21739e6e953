"""Commands beside each other: `python -m deploy.controller.beside 'COMMAND' 'COMMAND'`, as `make up` runs them.

Lines are shown as they are said, whole. The first command that fails ends the others and has the last word; Ctrl-C ends
all. `make -j` would let the others run on, and would show the reason far above their lines.
"""

import queue
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Thread

from deploy.controller.interrupts import INTERRUPTED, uninterrupted
from deploy.controller.programs import end_group
from deploy.controller.progress import say_line
from deploy.errors import BoardllamaError

# More than what a command of ours gives to the programs that it ends in turn (deploy/debian/workspace.py).
CLEANUP_SECONDS = 45.0


@dataclass
class Command:
    """A command that runs. `last`: the last line that it has said."""

    process: subprocess.Popen[bytes]
    last: str = ""

    @staticmethod
    def start(line: str) -> "Command":
        """Starts a command line in a process group of its own. Raises BoardllamaError when there is no such program."""
        words, none, pipe, same = shlex.split(line), subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT
        try:
            return Command(subprocess.Popen(words, stdin=none, stdout=pipe, stderr=same, start_new_session=True))
        except OSError as error:
            raise BoardllamaError(f"{words[0]} cannot be started: {error.strerror}") from None


@dataclass
class Commands:
    """Commands beside each other. `ended`: each as it ends. `teller`: whose line was shown last.

    `muted`: nothing that they say is shown any more.
    """

    running: list[Command] = field(default_factory=list)
    ended: "queue.Queue[Command]" = field(default_factory=queue.Queue)
    teller: Command | None = None
    muted: bool = False

    def add(self, line: str) -> None:
        """Starts a command line and shows what it says. Raises BoardllamaError."""
        # A signal that came between the start of the process and its name here would leave the process running.
        with uninterrupted():
            self.running.append(command := Command.start(line))
        Thread(target=self.show, args=(command,), daemon=True).start()

    def show(self, command: Command) -> None:
        """Shows each line of the command until it has ended."""
        assert command.process.stdout
        for line in command.process.stdout:
            command.last = line.decode(errors="replace").rstrip("\n")
            if not self.muted:
                self.teller = command
                say_line(command.last)
        command.process.wait()
        self.ended.put(command)

    def wait_for_all(self) -> int:
        """0 when all have ended well; else, at once, the status of the first that has not, whose last line is shown."""
        for command in (self.ended.get() for _ in self.running):
            if command.process.returncode:
                self.muted = True
                if self.teller is not command:
                    say_line(command.last)
                return command.process.returncode
        return 0

    def end(self) -> None:
        """Ends those that still run, and shows nothing more of them."""
        self.muted = True
        with uninterrupted():  # who waits for the end presses Ctrl-C again
            for command in self.running:
                end_group(command.process, CLEANUP_SECONDS)


def run_beside(lines: Sequence[str]) -> int:
    """Runs command lines beside each other. Returns 0, or the status of the first that failed.

    Raises BoardllamaError when there is no such program.
    """
    commands = Commands()
    try:
        for line in lines:
            commands.add(line)
        return commands.wait_for_all()
    finally:
        commands.end()


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        sys.exit(run_beside(sys.argv[1:]))
    except BoardllamaError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
