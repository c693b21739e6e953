"""What a person is shown and asked before anything is lost.

The answer is the name of a disk, because nobody types such a name out of habit.
"""

import sys
from collections.abc import Sequence

from deploy.controller.progress import say_line
from deploy.errors import BoardllamaError
from deploy.flash.devices import Device
from deploy.flash.disk_contents import Content

NO_TERMINAL = (
    "there is no terminal to ask on: name the disk and prove that you mean it, DEVICE=/dev/… SERIAL=… YES=1 "
    "(--device, --serial, --yes)"
)
STOPPED = "stopped: nothing was written"


def disk_overview(writable: Sequence[Device], refused: Sequence[tuple[Device, str]]) -> list[str]:
    """Lines about every disk: first those that may be written, then the others, each with its reason."""
    lines = ["May be written:", *(f"  {device.name:<10} {device.display_name}" for device in writable)]
    if not writable:
        lines = ["No disk may be written: put a card into the reader."]
    if refused:
        lines += ["May not:", *(f"  {device.name:<10} {device.display_name}\n{'':13}{why}" for device, why in refused)]
    return lines


def loss_warning(device: Device, found: Sequence[Content], receives: str) -> list[str]:
    """Lines about what is on the disk, and what the disk receives in its place."""
    lost = [content.listing_line for content in found] or ["nothing that is known"]
    return [f"{device.display_name} becomes {receives}. This will be lost:", *(f"    {line}" for line in lost)]


def choose_name(names: Sequence[str]) -> str:
    """The name that a person types. Raises BoardllamaError when it is none of `names`, or without a terminal."""
    need_terminal()
    typed = read_answer("Everything on the disk that you name will be lost. Its name, or nothing to stop: ")
    if typed not in names:
        raise BoardllamaError(f"{typed!r} is none of {', '.join(names)}: nothing was written" if typed else STOPPED)
    return typed


def confirm_names(names: Sequence[str]) -> None:
    """Returns when a person types exactly these names, in any order. Raises BoardllamaError otherwise."""
    need_terminal()
    typed = read_answer(f"Type {' '.join(names)} to go on, or nothing to stop: ")
    words = [word.removeprefix("/dev/") for word in typed.replace(",", " ").split()]
    if typed != " ".join(names) and sorted(words) != sorted(names):  # a file's name may have blanks
        raise BoardllamaError(f"{typed!r} is not {' '.join(names)}: nothing was written" if typed else STOPPED)


def need_terminal() -> None:
    """Raises BoardllamaError unless standard input is a terminal."""
    if not sys.stdin.isatty():
        raise BoardllamaError(NO_TERMINAL)


def read_answer(question: str) -> str:
    """The line that is typed, without /dev/ at its beginning and blanks around it."""
    say_line(question)
    return sys.stdin.readline().strip().removeprefix("/dev/")
