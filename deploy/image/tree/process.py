"""One process with bytes in and bytes out: streamed in blocks, under a deadline, gone afterwards whatever happens."""

import os
import select
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO

from deploy.programs import Late

BLOCK = 1 << 18
# Seconds that any one command may take, however busy it seems.
LONGEST = 7200.0
Sink = Callable[[bytes], object]


def start_process(command: list[str]) -> subprocess.Popen[bytes]:
    """The process, with three pipes. Modes of what it makes do not depend on who starts it."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, umask=0o022)


@contextmanager
def running_process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The process; at the end it is killed if it still runs."""
    process = start_process(command)
    try:
        yield process
    finally:
        end_process(process)


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Kills it unless it ended, and closes the pipes."""
    if process.poll() is None:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()


def stream_command(
    command: list[str], source: Iterable[bytes], output: Sink, errors: Sink, patience: float, longest: float = LONGEST
) -> int:
    """Exit status of a command that was given `source` and whose output went to the two sinks.

    `patience`: seconds without a byte in any direction. Raises Late, and whatever source and sinks raise.
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
    """The message for a command that was ended."""
    return (
        f"no sign of life for {seconds:.0f} s, so it was ended: {command[-1][:200]}; "
        "a pipe (fifo) in place of a file makes a command wait like that"
    )


class Feeder:
    """Writes blocks to a pipe as it takes them, then closes it; holds one block at a time."""

    def __init__(self, pipe: IO[bytes], blocks: Iterable[bytes]) -> None:
        self.pipe, self.blocks, self.block = pipe, iter(blocks), memoryview(b"")
        os.set_blocking(pipe.fileno(), False)

    @property
    def open_pipes(self) -> list[int]:
        """The pipe, for select, as long as it is open."""
        return [] if self.pipe.closed else [self.pipe.fileno()]

    def push(self) -> None:
        """Writes what the pipe takes now."""
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
