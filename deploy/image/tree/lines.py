"""What a command in a tree says, as lines: any bytes, and no more than fits in memory."""

from collections.abc import Callable

from deploy.errors import BoardllamaError

# Bytes. A fact is a few kilobytes; a program of the tree that does not stop must not fill the controller's memory.
MOST = 32 << 20
# Bytes that the objects take which hold a line, beside the line's own.
OVERHEAD = 100


class TooMuch(BoardllamaError):
    """A command said more than any fact is long. It was ended."""


class Lines:
    """Cuts bytes into lines, and gives each to `give` as text."""

    def __init__(self, give: Callable[[str], object]) -> None:
        self.give, self.size = give, 0
        self.begun: list[bytes] = []

    def take(self, data: bytes) -> None:
        """The next bytes of the output. Raises TooMuch when they are more than MOST in all."""
        self.size += len(data) + OVERHEAD * data.count(b"\n")
        if self.size > MOST:
            raise TooMuch(f"a command in the tree wrote more than {MOST >> 20} MiB; it was ended")
        *lines, rest = data.split(b"\n")
        for line in lines:
            self.begun.append(line)
            self.finish_line()
        if rest:
            self.begun.append(rest)

    def end(self) -> None:
        """The output is at its end: what came after the last newline is a line too."""
        if self.begun:
            self.finish_line()

    def finish_line(self) -> None:
        line, self.begun = b"".join(self.begun), []
        self.give(line.decode(errors="replace"))
