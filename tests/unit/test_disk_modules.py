"""Which drivers an initrd gets: of devices that a device tree enables, and of the buses that any board may have."""

import os
import runpy
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.image import board_root
from deploy.image.boards import DEBIAN_BOARDS
from tests.unit.known_host import program

EVERY = board_root.HERE / board_root.EVERY
Node = dict[str, Any]

ALIASES = """# Aliases extracted from modules themselves.
alias of:N*T*Cacme,card sdhci_acme
alias of:N*T*Cacme,cardC* sdhci_acme
alias of:N*T*Cacme,clock clk_acme
alias of:NpciT(null)Cacme,nothing bus_acme
alias of:N*T*Cacme,screen drm_acme
alias pci:v00001DE4d00000001sv*sd*bc*sc*i* rp1_pci
"""
ORDER = """kernel/drivers/mmc/host/sdhci_acme.ko
kernel/drivers/clk/clk-acme.ko
kernel/drivers/bus/bus_acme.ko
kernel/drivers/gpu/drm/acme/drm_acme.ko
"""


def flattened(root: Node) -> bytes:
    """The device tree, as the specification's chapter 5 writes it. A text is a property, a dict a node."""
    strings, structure = bytearray(), bytearray()

    def padded(data: bytes) -> bytes:
        return data + bytes(-len(data) % 4)

    def write(name: str, node: Node) -> None:
        structure.extend(struct.pack(">I", 1) + padded(name.encode() + b"\0"))
        for key, value in node.items():
            if isinstance(value, str):
                text = value.encode() + b"\0"
                structure.extend(struct.pack(">3I", 3, len(text), len(strings)) + padded(text))
                strings.extend(key.encode() + b"\0")
        structure.extend(struct.pack(">I", 4))  # which means nothing
        for key, value in node.items():
            if isinstance(value, dict):
                write(key, value)
        structure.extend(struct.pack(">I", 2))

    write("", root)
    structure.extend(struct.pack(">I", 9))
    head = struct.pack(">10I", 0xD00DFEED, 0, 40, 40 + len(structure), 0, 17, 16, 0, len(strings), len(structure))
    return head + structure + strings


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """The index of a kernel."""
    (tmp_path / "modules.alias").write_text(ALIASES)
    (tmp_path / "modules.order").write_text(ORDER)
    return tmp_path


def found(modules: Path, *trees: Node) -> list[str]:
    """The modules beyond those of the buses."""
    reader = runpy.run_path(str(EVERY / "usr/share/boardllama/disk_modules.py"))
    paths = [modules / f"{place}.dtb" for place, _ in enumerate(trees)]
    for path, tree in zip(paths, trees, strict=True):
        path.write_bytes(flattened(tree))
    given: list[str] = reader["disk_modules"](iter(paths), modules)
    buses = list(reader["BUSES"])
    assert given[: len(buses)] == buses and {"nvme", "usb-storage", "virtio_blk", "virtio_scsi"} <= set(buses)
    return given[len(buses) :]


def test_an_enabled_device_brings_its_driver(modules: Path) -> None:
    """By any of its names, the first of which may be one that no driver knows."""
    assert found(modules, {"soc": {"mmc@1": {"compatible": "acme,card-v2\0acme,card"}}}) == ["sdhci_acme"]
    clock = {"clock": {"compatible": "acme,clock", "status": "okay"}}
    assert found(modules, clock, {"mmc": {"compatible": "acme,card", "status": "ok"}}) == ["clk_acme", "sdhci_acme"]


def test_a_disabled_device_brings_none_nor_does_what_is_in_it(modules: Path) -> None:
    assert found(modules, {"mmc": {"compatible": "acme,card", "status": "disabled"}}) == []
    assert found(modules, {"bus": {"status": "disabled", "mmc": {"compatible": "acme,card", "status": "okay"}}}) == []
    beside = {"bus": {"status": "disabled", "x": {}}, "mmc": {"compatible": "acme,card"}}
    assert found(modules, beside) == ["sdhci_acme"]


def test_no_disk_hangs_on_a_screen(modules: Path) -> None:
    assert found(modules, {"screen": {"compatible": "acme,screen"}}) == []


def test_the_boards_have_device_trees_of_their_own_in_their_initrd() -> None:
    """A pattern is a file's name in the kernel's folder, whatever folder below it the file lies in."""
    for board in DEBIAN_BOARDS.values():
        assert board.initrd_trees and all(name.endswith(".dtb") and "/" not in name for name in board.initrd_trees)


def missing_root(folder: Path, tries: int, *disks: str) -> str:
    """What the kernel's log has after so many seconds without the root partition."""
    text = (EVERY / "etc/initramfs-tools/scripts/local-block/boardllama-missing").read_text()
    (folder / "block").mkdir(parents=True)
    for disk in disks:
        (folder / "block" / disk).mkdir()
    (folder / "log").touch()
    for real, ours in (("/run/", f"{folder}/"), ("/sys/block", f"{folder}/block"), (">/dev/kmsg", f">>{folder}/log")):
        assert real in text
        text = text.replace(real, ours)
    for _ in range(tries):
        subprocess.run(["sh", "-c", text, "missing", "PARTUUID=12"], check=True)
    return (folder / "log").read_text()


def test_a_missing_root_is_said_with_the_disks_that_are_there(tmp_path: Path) -> None:
    """At once, and now and then again. On every console: `quiet` hides only what is not critical."""
    said = missing_root(tmp_path / "late", 10, "nvme0n1", "sda", "loop0", "ram1")
    assert said.startswith(
        "<2>boardllama: waiting for the root partition PARTUUID=12; disks that are here: nvme0n1 sda. "
    )
    assert said.count("\n") == 1
    assert missing_root(tmp_path / "none", 11).count("disks that are here: none. ") == 2


def test_the_hook_gives_the_modules_to_initramfs_tools(tmp_path: Path) -> None:
    """And fails when they cannot be told: an initrd without them would not start."""
    text = (EVERY / "etc/initramfs-tools/hooks/boardllama-disks").read_text()
    (tmp_path / "hook-functions").write_text('manual_add_modules() { echo "$@"; }\n')
    text = text.replace("/usr/share/initramfs-tools/hook-functions", f"{tmp_path}/hook-functions")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "version": "6.12"}
        return subprocess.run(
            ["sh", "-c", text, "hook", *words], env=environment, capture_output=True, text=True, check=False
        )

    program(tmp_path / "python3", 'echo nvme; echo "$2"')
    assert run("prereqs").stdout == "" and run().stdout == "nvme 6.12\n"
    program(tmp_path / "python3", "exit 1")
    assert run().returncode == 1
