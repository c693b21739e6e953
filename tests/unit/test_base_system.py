"""What a vendor's root holds, for which board it is, and what a deploy may leave in it."""

import os
import struct
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.image.base.additions import date_additions, keep_configuration, refuse_baked, sweep_additions
from deploy.image.base.board_choice import choose_board
from deploy.image.base.partitions import BaseDisk
from deploy.image.base.root_file_system import CLOCK
from deploy.image.base.tree_state import Changes
from deploy.image.base.vendor_system import VendorSystem, inside, read_vendor_system
from deploy.image.boards import board_named
from deploy.image.leaks import Traces
from tests.unit.test_tree_state import state_of

NO_DISK = BaseDisk(Path("/nowhere"), 0, "dos", "", ())
NOBODY = Traces((), ())


def program(machine: int, bits: int = 2) -> bytes:
    """The beginning of an ELF file."""
    return b"\x7fELF" + bytes([bits]) + bytes(13) + struct.pack("<H", machine)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A system of a vendor, whose /bin is a link as in every Debian of today."""
    root = tmp_path / "tree"
    files = {
        "usr/bin/dash": program(183),
        "usr/bin/python3": b"",
        "usr/lib/systemd/systemd": b"",
        "usr/lib/os-release": b'# vendor\nID=raspbian\nPRETTY_NAME="A Vendor\'s OS"\n',
        "usr/lib/linux-image-6.12/broadcom/bcm2711-rpi-4-b.dtb": b"",
        "var/lib/dpkg/status": b"Package: x\n",
        "etc/shadow": b"root:*:1::::::\npi:$y$vendors:1::::::\n",
        "etc/machine-id": b"uninitialized\n",
        "var/log/vendors.log": b"",
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "usr/bin/sh").symlink_to("dash")
    (root / "bin").symlink_to("usr/bin")
    (root / "etc/os-release").symlink_to("/usr/lib/os-release")
    return root


def look(tree: Path) -> VendorSystem:
    paths = [str(path.relative_to(tree)) for path in tree.rglob("*")]
    return read_vendor_system(tree, paths, NO_DISK, "vendor.img")


def test_it_is_read_through_its_own_links(tree: Path) -> None:
    found = look(tree)
    assert (found.title, found.device_trees) == ("A Vendor's OS", frozenset({"bcm2711-rpi-4-b.dtb"}))


def test_links_never_lead_out_of_the_tree(tree: Path) -> None:
    (tree / "out").symlink_to("../../../../etc/passwd")
    assert inside(tree, "out") == tree / "etc/passwd"
    assert inside(tree, "/bin/sh") == tree / "usr/bin/dash"
    (tree / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="Too many levels"):
        inside(tree, "loop/x")


@pytest.mark.parametrize(
    ("shell", "said"),
    [
        (program(40, bits=1), "a system for 32-bit Arm"),
        (program(62), "a system for x86-64"),
        (b"#!/bin/true", "an unknown processor"),
    ],
)
def test_a_system_for_another_processor_is_refused_by_name(tree: Path, shell: bytes, said: str) -> None:
    (tree / "usr/bin/dash").write_bytes(shell)
    with pytest.raises(BoardllamaError, match=f"vendor.img is {said}: BASE needs" if "a system" in said else said):
        look(tree)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("usr/bin/dash", "holds no Linux system"),
        ("usr/lib/systemd/systemd", "lacks systemd"),
        ("usr/bin/python3", "lacks Python 3.10"),
        ("var/lib/dpkg/status", "lacks the list of packages"),
    ],
)
def test_a_system_that_lacks_what_a_release_needs_is_refused(tree: Path, missing: str, said: str) -> None:
    (tree / missing).unlink()
    with pytest.raises(BoardllamaError, match=said):
        look(tree)


def system(*device_trees: str) -> VendorSystem:
    return VendorSystem({"ID": "debian"}, frozenset(device_trees))


def test_the_board_is_guessed_where_one_alone_fits() -> None:
    assert choose_board(None, "vendor.img", system("rk3588-rock-5b.dtb", "other.dtb")) is board_named("rock_5b")


@pytest.mark.parametrize(
    ("told", "trees", "said"),
    [
        ("", ("bcm2711-rpi-4-b.dtb", "bcm2837-rpi-3-b.dtb"), "holds the device trees of .*rpi3.*rpi4"),
        ("", ("unknown.dtb",), "no board that is known here: say which board.*rock_5b"),
        ("", (), "say which board"),
        ("rpi4", ("rk3588-rock-5b.dtb",), "BOARD is rpi4 and vendor.img .* holds no device tree of a Raspberry Pi 4"),
    ],
)
def test_a_board_that_cannot_be_told_is_asked_for(told: str, trees: tuple[str, ...], said: str) -> None:
    with pytest.raises(BoardllamaError, match=said):
        choose_board(board_named(told) if told else None, "vendor.img", system(*trees))


def test_a_base_without_device_trees_is_for_the_board_that_was_said() -> None:
    """With EFI the firmware brings them."""
    assert choose_board(board_named("rock_5b"), "vendor.img", system()) is board_named("rock_5b")


def test_only_what_was_added_is_swept(tree: Path) -> None:
    kept = tree / "var/log/vendors.log"
    for name in ("var/log/ours.log", "etc/passwd-", "etc/ollama.conf"):
        (tree / name).write_bytes(b"x")
    added = ("etc/ollama.conf", "etc/passwd-", "var/log/ours.log")
    assert sweep_additions(tree, Changes(added, (), ())) == Changes(("etc/ollama.conf",), (), ())
    assert kept.exists() and (tree / "etc/ollama.conf").exists()
    assert not (tree / "var/log/ours.log").exists() and not (tree / "etc/passwd-").exists()


def test_no_addition_is_younger_than_the_clock_of_all_images(tree: Path) -> None:
    (tree / "new").symlink_to("etc")
    os.utime(tree / "etc/shadow", (100, 100))
    date_additions(tree, Changes(("new",), ("etc/shadow",), ()))
    assert ((tree / "new").lstat().st_mtime, (tree / "etc/shadow").stat().st_mtime) == (CLOCK, 100)


def test_the_vendors_words_are_not_judged_and_ours_are(tree: Path) -> None:
    before = state_of(tree)
    kept, shadow = keep_configuration(tree, before), tree / "etc/shadow"
    shadow.write_bytes(shadow.read_bytes() + b"ollama:!*:1::::::\n")
    refuse_baked(tree, Changes((), ("etc/shadow",), ()), kept, NOBODY)
    shadow.write_bytes(shadow.read_bytes() + b"board::1::::::\n")
    with pytest.raises(BoardllamaError, match=r"/etc/shadow: board has a password$"):
        refuse_baked(tree, Changes((), ("etc/shadow",), ()), kept, NOBODY)


def test_what_was_added_is_judged_by_the_rules_of_all_images(tree: Path) -> None:
    (tree / "etc/key").write_bytes(b"-----BEGIN PRIVATE KEY-----\n")
    (tree / "here").symlink_to("/srv/made/here")
    os.mkfifo(tree / "pipe")
    with pytest.raises(BoardllamaError, match=r"/etc/key: it holds a private key; /here: it leads to /srv/made/here"):
        refuse_baked(tree, Changes(("etc/key", "here", "pipe"), (), ()), {}, Traces(("/srv/made",), ()))
