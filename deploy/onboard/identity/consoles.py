"""What somebody at the board sees while it boots: the screen, and the serial pins."""

import os
from contextlib import suppress
from pathlib import Path

ACTIVE = Path("/sys/class/tty/console/active")
DEVICES = Path("/dev")


def show_on_consoles(text: str) -> None:
    """Prints the text to the journal, and to every console that the kernel uses.

    /dev/console is the last of these consoles alone: on a Raspberry Pi the serial pins, and not the screen.
    """
    print(text, flush=True)
    with suppress(OSError):
        for name in ACTIVE.read_text().split():
            with suppress(OSError):
                write_console(DEVICES / name, f"{text}\n")


def write_console(console: Path, text: str) -> None:
    """Writes the text without waiting for a reader at the other end of a serial line. Raises OSError."""
    handle = os.open(console, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        os.set_blocking(handle, True)
        os.write(handle, text.encode())
    finally:
        os.close(handle)
