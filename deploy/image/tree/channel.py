"""The one way into a tree: shell commands in its sandbox, with bytes in and out."""

import os
import select
import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from pyinfra.api.util import get_file_io

from deploy.controller.files import sync
from deploy.controller.programs import end_process
from deploy.errors import BoardllamaError
from deploy.image.tree.lines import Lines, TooMuch
from deploy.image.tree.process import BLOCK, LONGEST, Sink, start_process, stream_command
from deploy.image.tree.sandbox import Sandbox

# A talk is longer neither in bytes of a line nor in lines.
LONGEST_LINE, MOST_LINES = 1 << 16, 1000
# Is told the name of an output, stdout or stderr, and a line of that output.
Hear = Callable[[str, str], object]


@dataclass(frozen=True)
class Channel:
    """`patience`: seconds that a command may neither read nor write a byte before it is ended."""

    sandbox: Sandbox
    patience: float

    def shell_in_tree(self, command: str) -> list[str]:
        """The command line that runs a shell command in the tree."""
        return self.sandbox.command("/bin/sh", "-c", command)

    def listen(self, command: str, hear: Hear, source: Iterable[bytes] = (), longest: float = LONGEST) -> int | None:
        """Exit status of a command whose lines are told to `hear`; None when the command had to be ended."""
        output, errors = Lines(partial(hear, "stdout")), Lines(partial(hear, "stderr"))
        status = None
        try:
            status = stream_command(
                self.shell_in_tree(command), source, output.take, errors.take, self.patience, longest
            )
        except BoardllamaError as error:
            errors.end()
            hear("stderr", str(error))
        output.end()
        errors.end()
        return status

    def carry(self, command: str, source: Iterable[bytes] = (), sink: Sink = len) -> tuple[int, str]:
        """Exit status and stderr of a command that reads `source` and whose output goes to `sink`.

        Raises Late, TooMuch, and whatever source and sink raise.
        """
        said: list[str] = []
        errors = Lines(said.append)
        status = stream_command(self.shell_in_tree(command), source, sink, errors.take, self.patience)
        errors.end()
        return status, "\n".join(said)

    def probe(self) -> None:
        """Raises BoardllamaError when nothing can run in the tree."""
        status, errors = self.carry("true")
        if status != 0:
            hint = "" if self.sandbox.as_root else "; this system may keep user namespaces from users: try as root"
            said = errors.strip() or f"status {status}"
            raise BoardllamaError(f"no command runs in {self.sandbox.tree}: {said}{hint}")


class Talking:
    """A command that runs until it is ended: its lines are read one by one, and bytes are sent to it."""

    def __init__(self, channel: Channel, command: str) -> None:
        self.patience, self.command, self.rest, self.lines = channel.patience, command, b"", 0
        self.process = start_process(channel.shell_in_tree(command))

    def next_line(self) -> str:
        """The command's next line; at its end what is left, which may be empty.

        Raises BoardllamaError when none comes within `patience` seconds, TooMuch beyond LONGEST_LINE or MOST_LINES.
        """
        assert self.process.stdout
        pipe, last = self.process.stdout.fileno(), time.monotonic() + self.patience
        self.lines += 1
        while b"\n" not in self.rest:
            if not select.select([pipe], [], [], max(0, last - time.monotonic()))[0]:
                raise BoardllamaError(f"no answer for {self.patience:.0f} s from {self.command[:80]}")
            if len(self.rest) > LONGEST_LINE or self.lines > MOST_LINES:
                raise TooMuch(f"more than a talk is long, and no answer in it, from {self.command[:80]}")
            if not (data := os.read(pipe, BLOCK)):
                break
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode(errors="replace")

    def send(self, data: bytes) -> None:
        """Sends all bytes. Raises OSError when the command is gone, BoardllamaError when it reads none in time."""
        if self.process.stdin is None or self.process.stdin.closed:
            raise BrokenPipeError(f"ended: {self.command[:80]}")
        pipe, rest = self.process.stdin.fileno(), memoryview(data)
        os.set_blocking(pipe, False)
        while rest:
            if not select.select([], [pipe], [], self.patience)[1]:
                raise BoardllamaError(f"nothing was read for {self.patience:.0f} s by {self.command[:80]}")
            rest = rest[os.write(pipe, rest) :]

    def end(self) -> None:
        end_process(self.process)


def put_command(path: str) -> str:
    """The shell command that makes a file of its input: written beside its place, then renamed.

    A link is followed, inside the tree. Owner and mode of a file that was there are kept.
    """
    return (
        f'set -e; d=$(readlink -m -- {shlex.quote(path)}); n=$d.part; rm -f -- "$n"; trap \'rm -f -- "$n"\' EXIT;'
        ' cat >"$n"; if test -f "$d"; then chown --reference="$d" -- "$n"; chmod --reference="$d" -- "$n"; fi;'
        ' sync "$n"; mv -T -- "$n" "$d"; sync "$(dirname -- "$d")"'
    )


def get_command(path: str) -> str:
    """The shell command that writes a regular file to its output. It refuses a fifo or a device, which never ends."""
    name = shlex.quote(path)
    return f"test -f {name} || {{ echo 'not a regular file in the tree' >&2; exit 1; }}; cat -- {name}"


def file_blocks(file: IO[Any]) -> Iterator[bytes]:
    """The bytes of a file, in blocks of at most BLOCK bytes or characters."""
    while block := file.read(BLOCK):
        yield block.encode() if isinstance(block, str) else block


@contextmanager
def arriving_file(place: str | IO[Any]) -> Iterator[IO[Any]]:
    """An open file of the controller to write to. `place`: a file, or a path, which the file gets when it is whole."""
    if not isinstance(place, str):
        with get_file_io(place, "wb") as file:
            yield file
        return
    part = Path(f"{place}.part")
    try:
        with part.open("wb") as file:
            yield file
        sync(part)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)
