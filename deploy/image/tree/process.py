"""A process that is fed and read in blocks, under a deadline. It is gone afterwards, whatever happens."""

import os
import select
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO

from deploy.controller.programs import Late, end_process

BLOCK = 1 << 18
# Seconds that any one command may take, however busy it seems.
LONGEST = 7200.0
Sink = Callable[[bytes], object]


def start_process(command: list[str]) -> subprocess.Popen[bytes]:
    """Starts a process with three pipes. Its umask is fixed: modes of what it makes do not depend on who starts it."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, umask=0o022)


@contextmanager
def running_process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed at the end if it still runs."""
    process = start_process(command)
    try:
        yield process
    finally:
        end_process(process)


def stream_command(
    command: list[str], source: Iterable[bytes], output: Sink, errors: Sink, patience: float, longest: float = LONGEST
) -> int:
    """Exit status of a command that reads `source`, and whose outputs go to the sinks `output` and `errors`.

    `patience`: seconds without a byte in any direction; `longest`: seconds in all. Raises Late beyond either, and
    whatever source and sinks raise.
    """
    last = time.monotonic() + longest
    with running_process(command) as process:
        assert process.stdin and process.stdout and process.stderr
        sinks = {process.stdout.fileno(): output, process.stderr.fileno(): errors}
        feeder = Feeder(process.stdin, source)
        while sinks:
            readable, writable, _ = select.select(list(sinks), feeder.open_pipes, [], patience)
            if time.monotonic() > last or not (readable or writable):
                raise Late(late_message(command, min(patience, longest)))
            if writable:
                feeder.push()
            for pipe in readable:
                if data := os.read(pipe, BLOCK):
                    sinks[pipe](data)
                else:
                    del sinks[pipe]
        try:
            return process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            raise Late(late_message(command, patience)) from None


def late_message(command: list[str], seconds: float) -> str:
    return (
        f"no sign of life for {seconds:.0f} s, so it was ended: {command[-1][:200]}; "
        "a pipe (fifo) in place of a file makes a command wait like that"
    )


class Feeder:
    """Writes blocks to a pipe as fast as it takes them, then closes it. One block at a time is in memory."""

    def __init__(self, pipe: IO[bytes], blocks: Iterable[bytes]) -> None:
        self.pipe, self.blocks, self.block = pipe, iter(blocks), memoryview(b"")
        os.set_blocking(pipe.fileno(), False)

    @property
    def open_pipes(self) -> list[int]:
        """For select: the pipe, or nothing when it is closed."""
        return [] if self.pipe.closed else [self.pipe.fileno()]

    def push(self) -> None:
        """Writes as much as the pipe takes now, of one block."""
        self.block = self.block or memoryview(next(filter(None, self.blocks), b""))
        if not self.block:
            self.pipe.close()
            return
        try:
            self.block = self.block[os.write(self.pipe.fileno(), self.block) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self.pipe.close()  # The command ended early: its status and its words follow.
