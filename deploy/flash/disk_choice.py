"""Which disks are written: named, all, or chosen from a list; confirmed by a person, or by their serials."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import BoardllamaError
from deploy.flash import confirmation
from deploy.flash.devices import Device, devices, refusal, swaps
from deploy.flash.disk_contents import Content, contents, holds_member
from deploy.flash.progress import say

ALL = "all"


@dataclass(frozen=True)
class Choice:
    """What was said about disks: names or paths, or `all`; serials; and whether not to ask."""

    named: Sequence[str]
    serials: Collection[str]
    yes: bool

    def disks(self, needed: int) -> list[Device]:
        """The disks to write `needed` bytes to. Raises BoardllamaError when one of them may not be written."""
        need_root()
        present = devices()
        if self.yes and not self.named:
            raise BoardllamaError("YES=1 needs DEVICE= or DEVICES= too: which disk?")
        if self.yes or ALL in self.named:
            refuse_shared(self.serials, present)
        if self.named and list(self.named) != [ALL]:
            chosen = [named(one, present) for one in self.named]
            for device in chosen:
                if why := self.refusal(device, needed):
                    raise BoardllamaError(f"{device.path} {why}")
            return without_twins(chosen)
        return self.listed(present, needed)

    def listed(self, present: Sequence[Device], needed: int) -> list[Device]:
        """All that may be written, or the one that a person chooses of them."""
        judged = [(device, self.refusal(device, needed)) for device in present]
        writable = [device for device, why in judged if why is None]
        for line in confirmation.overview(writable, [(device, why) for device, why in judged if why]):
            say(line)
        if not writable:
            raise BoardllamaError("there is no disk that may be written")
        if self.named:
            return writable
        name = confirmation.choose([device.name for device in writable])
        return [device for device in writable if device.name == name]

    def refusal(self, device: Device, needed: int) -> str | None:
        """Why a disk may not be written; None when it may."""
        if why := refusal(device, needed, self.serials, swaps()):
            return why
        try:
            return holds_member(contents(device))
        except BoardllamaError as error:
            return f"cannot be looked at ({error})"

    def confirm(self, chosen: Sequence[Device], receives: Sequence[str]) -> list[list[Content]]:
        """What is on each disk, as it was shown, when somebody means it. Raises BoardllamaError."""
        shown = [contents(device) for device in chosen]
        for device, found, image in zip(chosen, shown, receives, strict=True):
            if why := holds_member(found):  # since it was chosen
                raise BoardllamaError(f"{device.path} {why}")
            for line in confirmation.loss(device, found, image):
                say(line)
        if self.yes:
            self.prove(chosen)
        else:
            confirmation.confirm([device.name for device in chosen])
        return shown

    def prove(self, chosen: Sequence[Device]) -> None:
        """Raises BoardllamaError unless the serial of each was named."""
        for device in chosen:
            if not device.serial:
                raise BoardllamaError(
                    f"{device.path} has no serial that YES=1 could be about: leave YES out, and answer"
                )
            if device.serial not in self.serials:
                raise BoardllamaError(
                    f"YES=1 needs SERIAL='{device.serial}' to write {device.path}: nothing was written"
                )


def named(word: str, present: Sequence[Device]) -> Device:
    """The disk of a name, a path or a link to it. Raises BoardllamaError."""
    path = Path(word if "/" in word else f"/dev/{word}")
    real = Path(os.path.realpath(path))
    for device in present:
        if device.path == real:
            return device
        if any(part.name == real.name for part in device.parts[1:]) and real.parent == Path("/dev"):
            raise BoardllamaError(f"{path} is a part of {device.path}: name the whole disk")
    if real.is_file():
        raise BoardllamaError(f"{path} is a regular file: TO_FILE={path} (--to-file) writes to it, or makes it")
    there = ", ".join(str(device.path) for device in present if device.size) or "none"
    raise BoardllamaError(f"{path} is no disk of this machine: there are {there}")


def refuse_shared(serials: Collection[str], present: Sequence[Device]) -> None:
    """Raises BoardllamaError for a serial that several disks have, as of a reader with two cards, or cheap bridges."""
    for serial in filter(None, serials):
        twins = [str(device.path) for device in present if device.size and device.serial == serial]
        if len(twins) > 1:
            raise BoardllamaError(
                f"SERIAL='{serial}' is that of {' and '.join(twins)}, and proves none of them: name one by DEVICE=, "
                "without YES=1, and answer; or unplug the others"
            )


def without_twins(chosen: Sequence[Device]) -> list[Device]:
    """Raises BoardllamaError when a disk is named twice."""
    names = [device.name for device in chosen]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BoardllamaError(f"{twice} is named twice")
    return list(chosen)


def need_root() -> None:
    """Raises BoardllamaError for who may not read disks."""
    if os.geteuid() != 0:
        raise BoardllamaError("only root may write to disks: `make flash` asks sudo for it; TO_FILE=… writes to a file")
