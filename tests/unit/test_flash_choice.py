"""Which disks are written: the rules between a list of disks and a person's word."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.flash import choice as module
from deploy.flash.archive import compressed
from deploy.flash.choice import Choice
from deploy.flash.contents import Content
from deploy.flash.devices import Device
from deploy.flash.manifest import Part
from tests.unit.lsblk import disk, part

SERIAL = "000000001206"
NEEDED = 2 * 10**9


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch) -> list[Device]:
    """A card, a second one without a serial, and the system's disk."""
    found = [
        disk(part()),
        disk(name="sdc", serial=None),
        disk(part("sda1", mountpoints=["/"]), name="sda", rm=False, serial="ours"),
    ]
    monkeypatch.setattr(module, "devices", lambda: found)
    monkeypatch.setattr(module, "contents", lambda device: [])
    monkeypatch.setattr(module, "swaps", lambda: frozenset())
    monkeypatch.setattr(module, "need_root", lambda: None)
    return found


def chosen(named: Sequence[str], *serials: str, yes: bool = True) -> list[str]:
    """Names of the disks that would be written."""
    choice = Choice(named, serials, yes)
    disks = choice.disks(NEEDED)
    choice.confirm(disks, ["an image"] * len(disks))
    return [device.name for device in disks]


def test_a_named_card_with_its_serial_needs_no_question(present: list[Device]) -> None:
    assert chosen(["/dev/sdb"], SERIAL) == ["sdb"]


@pytest.mark.parametrize(
    ("named", "serials", "words"),
    [
        (["sdb"], [], f"YES=1 needs SERIAL='{SERIAL}' to write /dev/sdb"),
        (["sdb"], ["another"], f"YES=1 needs SERIAL='{SERIAL}' to write /dev/sdb"),
        (["sdc"], [SERIAL, ""], "/dev/sdc has no serial"),
        (["sdb", "sdc"], [SERIAL], "/dev/sdc has no serial"),
        (["all"], [SERIAL], "/dev/sdc has no serial"),
        ([], [SERIAL], "needs DEVICE="),
        (["sda"], ["ours"], "/dev/sda is what this machine runs from"),
        (["sdb", "/dev/sdb"], [SERIAL], "sdb is named twice"),
    ],
)
def test_without_a_question_each_disk_is_proven_by_its_serial(
    present: list[Device], named: list[str], serials: list[str], words: str
) -> None:
    with pytest.raises(BoardllamaError) as caught:
        chosen(named, *serials)
    assert words in str(caught.value)


def test_all_is_all_that_may_be_written(present: list[Device]) -> None:
    assert [device.name for device in Choice(["all"], [], False).disks(NEEDED)] == ["sdb", "sdc"]


def test_what_lies_on_it_is_looked_at_too(present: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "contents", lambda device: [Content("sdb2", 10**9, "LVM2_member", "")])
    with pytest.raises(BoardllamaError, match=r"/dev/sdb holds LVM \(sdb2\)"):
        chosen(["sdb"], SERIAL)


def test_a_disk_that_cannot_be_looked_at_is_not_written(present: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(device: Device) -> list[Content]:
        raise BoardllamaError("blkid: Input/output error")

    monkeypatch.setattr(module, "contents", broken)
    with pytest.raises(BoardllamaError, match=r"cannot be looked at \(blkid: Input/output error\)"):
        chosen(["sdb"], SERIAL)


def test_an_image_that_cannot_be_read_any_more_is_one_line() -> None:
    reader = compressed(Path("b.img.zst"), -1, Part("b.img.zst", 1, ""))
    with pytest.raises(BoardllamaError, match=r"b\.img\.zst cannot be read any more \(Bad file descriptor\)"):
        reader.read(1)
