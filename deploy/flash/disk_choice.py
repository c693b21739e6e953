"""Which disks are written: named, all, or chosen from a list; confirmed by a person, or by their serials."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.controller.progress import say_line
from deploy.errors import BoardllamaError
from deploy.flash.confirmation import choose_name, confirm_names, disk_overview, loss_warning
from deploy.flash.devices import Device, device_refusal, list_devices, swapped_names
from deploy.flash.disk_contents import Content, contents_refusal, read_contents
from deploy.paths import typed

ALL = "all"


@dataclass(frozen=True)
class Choice:
    """What the command line says about disks: names or paths, or `all`; serials; and `yes`, not to ask."""

    named: Sequence[str]
    serials: Collection[str]
    yes: bool

    def choose(self, needed: int) -> list[Device]:
        """The disks to write `needed` bytes to. Raises BoardllamaError when one of them may not be written."""
        need_root()
        present = list_devices()
        if self.yes and not self.named:
            raise BoardllamaError("YES=1 needs DEVICE= or DEVICES= too: which disk?")
        if self.yes or ALL in self.named:
            refuse_shared_serials(self.serials, present)
        if self.named and list(self.named) != [ALL]:
            chosen = [find_disk(one, present) for one in self.named]
            for device in chosen:
                if why := self.refusal_reason(device, needed):
                    raise BoardllamaError(f"{device.path} {why}")
            refuse_repeated_disks(chosen)
            return chosen
        return self.choose_from_list(present, needed)

    def choose_from_list(self, present: Sequence[Device], needed: int) -> list[Device]:
        """Shows every disk. Returns all that may be written, or the disk that a person names of them.

        Raises BoardllamaError when there is none.
        """
        judged = [(device, self.refusal_reason(device, needed)) for device in present]
        writable = [device for device, why in judged if why is None]
        for line in disk_overview(writable, [(device, why) for device, why in judged if why]):
            say_line(line)
        if not writable:
            raise BoardllamaError("there is no disk that may be written")
        if self.named:
            return writable
        name = choose_name([device.name for device in writable])
        return [device for device in writable if device.name == name]

    def refusal_reason(self, device: Device, needed: int) -> str | None:
        """Why the disk may not be written; None when it may."""
        if why := device_refusal(device, needed, self.serials, swapped_names()):
            return why
        try:
            return contents_refusal(read_contents(device))
        except BoardllamaError as error:
            return f"cannot be looked at ({error})"

    def confirm(self, chosen: Sequence[Device], receives: Sequence[str]) -> list[list[Content]]:
        """The contents of each disk as they were shown, once a person or the serials have agreed to lose them.

        `receives` says for each disk what will be on it. Raises BoardllamaError.
        """
        shown = [read_contents(device) for device in chosen]
        for device, found, image in zip(chosen, shown, receives, strict=True):
            if why := contents_refusal(found):  # what has come onto the disk since it was chosen
                raise BoardllamaError(f"{device.path} {why}")
            for line in loss_warning(device, found, image):
                say_line(line)
        if self.yes:
            self.require_serials(chosen)
        else:
            confirm_names([device.name for device in chosen])
        return shown

    def require_serials(self, chosen: Sequence[Device]) -> None:
        """Raises BoardllamaError unless the serial of every disk was named."""
        for device in chosen:
            if not device.serial:
                raise BoardllamaError(
                    f"{device.path} has no serial that YES=1 could be about: leave YES out, and answer"
                )
            if device.serial not in self.serials:
                raise BoardllamaError(
                    f"YES=1 needs SERIAL='{device.serial}' to write {device.path}: nothing was written"
                )


def find_disk(word: str, present: Sequence[Device]) -> Device:
    """The disk of a name, of a path, or of a link to it. Raises BoardllamaError."""
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


def refuse_shared_serials(serials: Collection[str], present: Sequence[Device]) -> None:
    """Raises BoardllamaError for a serial that several disks have, as two cards in one reader, or cheap bridges."""
    for serial in filter(None, serials):
        twins = [str(device.path) for device in present if device.size and device.serial == serial]
        if len(twins) > 1:
            raise BoardllamaError(
                f"SERIAL='{serial}' is that of {' and '.join(twins)}, and proves none of them: name one by DEVICE=, "
                "without YES=1, and answer; or unplug the others"
            )


def refuse_repeated_disks(chosen: Sequence[Device]) -> None:
    """Raises BoardllamaError when a disk is named twice."""
    names = [device.name for device in chosen]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BoardllamaError(f"{twice} is named twice")


def need_root() -> None:
    """Raises BoardllamaError for a user who may not read disks."""
    if os.geteuid() != 0:
        raise BoardllamaError(
            f"only root may write to disks: {typed('flash')} asks sudo for it; TO_FILE=… writes to a file"
        )
