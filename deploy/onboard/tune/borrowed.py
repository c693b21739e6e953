"""What a sweep changes on a board: noted before it is changed, and put back however the sweep ends.

The note lies in /run: a board that loses power comes back without it, and without the changes.
"""

import json
import sys
from pathlib import Path

from ..commands import run_command
from ..files import write_file
from ..json_parts import parse_json

NOTE = Path("/run/boardllama/tune.json")
START_SECONDS = 3600.0  # the unit has a deadline of its own


class Borrowed:
    """Values of files of the kernel, units that were stopped, swap that was switched off."""

    def __init__(self, note: Path = NOTE) -> None:
        self.note = note
        self.values: dict[str, str] = {}
        self.units: list[str] = []
        self.swaps: list[str] = []

    def set_value(self, file: Path, value: str) -> None:
        """Writes a value into a file of the kernel. "" puts back what was there first. Raises OSError."""
        before = chosen_word(file.read_text())
        wanted = value or self.values.get(str(file), before)
        if wanted == before:
            return
        if str(file) not in self.values:
            self.values[str(file)] = before
            self.keep_note()
        file.write_text(wanted)

    def stop_unit(self, unit: str) -> None:
        """Stops a unit of systemd that runs. Raises OSError."""
        self.units.append(unit)
        self.keep_note()
        run_command("systemctl", "stop", unit, deadline=60)

    def take_swap(self, device: str) -> None:
        """Notes swap that is about to be switched off. Raises OSError."""
        self.swaps.append(device)
        self.keep_note()

    def keep_note(self) -> None:
        self.note.parent.mkdir(parents=True, exist_ok=True)
        told = {"values": self.values, "units": self.units, "swaps": self.swaps}
        write_file(self.note, json.dumps(told).encode())


def give_back(note: Path = NOTE) -> list[str]:
    """Puts back all that the note says, and removes it. Returns a sentence for each thing that could not be put back.

    Without a note nothing was changed.
    """
    try:
        told = parse_json(note.read_text())
    except (OSError, ValueError):
        return []
    wrong = []
    for file, value in told["values"].items():
        try:
            if chosen_word(Path(file).read_text()) != value:
                Path(file).write_text(value)
        except OSError as error:
            wrong.append(f"{file} could not be set to {value} again ({error.strerror}): restart the board")
    for words in [
        *(("swapon", one) for one in told.get("swaps", ())),
        *(("systemctl", "start", one) for one in told["units"]),
    ]:
        try:
            run_command(*words, deadline=START_SECONDS)
        except OSError as error:
            wrong.append(f"`{' '.join(words)}` is to be done by hand: {error}")
    note.unlink()
    return wrong


def end_tune() -> int:
    """Puts back what a sweep that was killed has left. Returns the exit status."""
    for line in (wrong := give_back()):
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def chosen_word(text: str) -> str:
    """The value of a file of the kernel: the word in brackets, where it lists all words."""
    words = text.split()
    return next((word.strip("[]") for word in words if word.startswith("[")), words[0] if words else "")
