"""Which disks are written: the rules between a list of disks and a person's word."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.flash import batch
from deploy.flash import disk_choice as module
from deploy.flash.archive import compressed_reader
from deploy.flash.batch import open_shown_disk
from deploy.flash.devices import Device
from deploy.flash.disk_choice import Choice
from deploy.flash.disk_contents import Content
from deploy.formats.image_manifest import ImageFile
from tests.unit.lsblk import disk, part
from tests.unit.memory_card import MemoryCard

SERIAL = "000000001206"
NEEDED = 2 * 10**9
SHOWN = [Content("sdb1", 10**9, "vfat", "PHOTOS", "4F1B-22A0")]


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch) -> list[Device]:
    """A card, a second one without a serial, and the system's disk."""
    found = [
        disk(part()),
        disk(name="sdc", serial=None),
        disk(part("sda1", mountpoints=["/"]), name="sda", rm=False, serial="ours"),
    ]
    monkeypatch.setattr(module, "list_devices", lambda: found)
    monkeypatch.setattr(module, "read_contents", lambda device: [])
    monkeypatch.setattr(module, "swapped_names", lambda: frozenset())
    monkeypatch.setattr(module, "need_root", lambda: None)
    return found


def chosen_names(named: Sequence[str], *serials: str, yes: bool = True) -> list[str]:
    """Names of the disks that would be written."""
    choice = Choice(named, serials, yes)
    disks = choice.choose(NEEDED)
    choice.confirm(disks, ["an image"] * len(disks))
    return [device.name for device in disks]


def test_a_named_card_with_its_serial_needs_no_question(present: list[Device]) -> None:
    assert chosen_names(["/dev/sdb"], SERIAL) == ["sdb"]


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
        chosen_names(named, *serials)
    assert words in str(caught.value)


def test_all_is_all_that_may_be_written(present: list[Device]) -> None:
    assert [device.name for device in Choice(["all"], [], False).choose(NEEDED)] == ["sdb", "sdc"]


def test_what_lies_on_it_is_looked_at_too(present: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "read_contents", lambda device: [Content("sdb2", 10**9, "LVM2_member", "")])
    with pytest.raises(BoardllamaError, match=r"/dev/sdb holds LVM \(sdb2\)"):
        chosen_names(["sdb"], SERIAL)


@pytest.mark.parametrize("removable", [True, False])
@pytest.mark.parametrize(("named", "yes"), [(["all"], True), (["all"], False), (["sdb"], True), (["sdb", "sdd"], True)])
def test_a_serial_that_two_disks_share_proves_none_of_them(
    present: list[Device], named: list[str], yes: bool, removable: bool
) -> None:
    present.append(disk(name="sdd", rm=removable))
    with pytest.raises(BoardllamaError, match=f"SERIAL='{SERIAL}' is that of /dev/sdb and /dev/sdd, and proves none"):
        chosen_names(named, SERIAL, yes=yes)


def test_the_empty_slots_of_a_reader_share_its_serial_with_the_card(present: list[Device]) -> None:
    present += [disk(name="sdd", size=0), disk(name="sde", size=0)]
    assert chosen_names(["sdb"], SERIAL) == ["sdb"]


def test_what_came_while_the_choice_waited_is_looked_at_again(
    present: list[Device], looks: list[list[Content]]
) -> None:
    looks += [[], [Content("sdb", 10**9, "crypto_LUKS", "")]]
    with pytest.raises(BoardllamaError, match=r"/dev/sdb holds LUKS \(sdb\)"):
        chosen_names(["sdb"], SERIAL)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[list[Content]]:
    """What is on a disk, from look to look."""
    found: list[list[Content]] = []
    monkeypatch.setattr(module, "read_contents", lambda device: found.pop(0))
    return found


def open_shown(monkeypatch: pytest.MonkeyPatch, now: Device, found: list[Content], size: int = 64 * 10**9) -> None:
    """Opens sdb as it was shown, on a machine where it is `now`."""

    @contextmanager
    def opened(path: Path, stop: threading.Event) -> Iterator[MemoryCard]:
        yield MemoryCard(str(path), -1, size)

    monkeypatch.setattr(batch, "open_card", opened)
    monkeypatch.setattr(batch, "list_devices", lambda: [now])
    monkeypatch.setattr(batch, "read_contents", lambda device: found)
    with open_shown_disk(replace(disk(), sequence="46"), SHOWN, threading.Event()):
        pass


def test_the_card_that_was_shown_is_written_although_udev_has_named_its_file_systems_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_shown(monkeypatch, replace(disk(part(label="PHOTOS")), sequence="46"), list(SHOWN))


@pytest.mark.parametrize(
    ("sequence", "found", "size"),
    [
        ("47", SHOWN, 64 * 10**9),
        ("46", [], 64 * 10**9),
        ("46", [replace(SHOWN[0], label="THESIS")], 64 * 10**9),
        ("46", [replace(SHOWN[0], uuid="4F1B-22A1")], 64 * 10**9),
        ("46", SHOWN, 32 * 10**9),
    ],
    ids=["diskseq", "nothing", "label", "uuid", "size"],
)
def test_another_card_in_the_same_reader_is_not_written(
    monkeypatch: pytest.MonkeyPatch, sequence: str, found: list[Content], size: int
) -> None:
    with pytest.raises(
        BoardllamaError, match=r"another card is in the reader now.*: nothing was written, run the same"
    ):
        open_shown(monkeypatch, replace(disk(), sequence=sequence), found, size)


def test_a_disk_that_cannot_be_looked_at_is_not_written(present: list[Device], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(device: Device) -> list[Content]:
        raise BoardllamaError("blkid: Input/output error")

    monkeypatch.setattr(module, "read_contents", broken)
    with pytest.raises(BoardllamaError, match=r"cannot be looked at \(blkid: Input/output error\)"):
        chosen_names(["sdb"], SERIAL)


def test_an_image_that_cannot_be_read_any_more_is_one_line() -> None:
    reader = compressed_reader(Path("b.img.zst"), -1, ImageFile(name="b.img.zst", size=1, sha256="0" * 64))
    with pytest.raises(BoardllamaError, match=r"b\.img\.zst cannot be read any more \(Bad file descriptor\)"):
        reader.read(1)
