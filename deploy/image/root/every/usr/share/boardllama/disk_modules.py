"""The kernel modules that a board's initrd needs to reach its disk: `disk_modules.py KERNEL-VERSION`, one in a line.

These are the drivers of common buses, and every driver of a device that the board's device trees enable, because a disk
may hang on any of them: its clock, its regulator, its PHY. The kernel's own index says which driver a device has.
"""

import re
import struct
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

TREES = Path("/etc/initramfs-tools/device-trees")
MODULES = Path("/usr/lib/modules")
# Drivers that no device tree names: of disks behind PCI, USB, ACPI or a hypervisor, and of chips within chips.
BUSES = (
    *("nvme", "ahci", "usb-storage", "uas", "sd_mod", "xhci-pci", "xhci-pci-renesas", "xhci-plat-hcd", "ehci-pci"),
    *("virtio_pci", "virtio_mmio", "virtio_blk", "virtio_scsi", "hv_storvsc", "megaraid_sas", "mpt3sas"),
    *("sdhci-pci", "sdhci-acpi", "mmc_block", "rp1_pci", "rk8xx-i2c", "rk8xx-spi", "rk808-regulator", "ext4"),
)
# No disk hangs on these: sound, pictures, networks, sensors, buttons.
APART = re.compile(
    r"kernel/(sound|net|crypto|drivers/(gpu|media|net|bluetooth|input|leds|hwmon|thermal|iio|crypto|char|rtc|watchdog|"
    r"staging|video|accel|tee|devfreq|remoteproc|hid|nfc|soundwire|slimbus|gnss))/"
)
BEGIN, END, PROPERTY, LAST = 1, 2, 3, 9
HEAD = struct.Struct(">2I")


def tree_tokens(blob: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """The tokens of a flattened device tree, each with name and value where it is a property.

    The format is that of devicetree.org's specification, chapter 5.
    """
    at, names = HEAD.unpack_from(blob, 8)
    while (token := int.from_bytes(blob[at : at + 4], "big")) != LAST:
        at += 4
        if token == BEGIN:
            at = (blob.index(b"\0", at) + 4) & ~3
        if token != PROPERTY:
            yield token, b"", b""
            continue
        size, place = HEAD.unpack_from(blob, at)
        yield token, blob[names + place : blob.index(b"\0", names + place)], blob[at + 8 : at + 8 + size]
        at = (at + 8 + size + 3) & ~3


def enabled_devices(blob: bytes) -> set[str]:
    """What the enabled nodes of a flattened device tree are compatible with. A node in a disabled node is disabled."""
    found: set[str] = set()
    nodes: list[tuple[bool, bytes]] = [(True, b"")]
    for token, name, value in tree_tokens(blob):
        if token == BEGIN:
            nodes.append((nodes[-1][0], b""))
        elif name == b"compatible":
            nodes[-1] = (nodes[-1][0], value)
        elif name == b"status":
            nodes[-1] = (nodes[-1][0] and value.startswith(b"ok"), nodes[-1][1])
        elif token == END:
            enabled, devices = nodes.pop()
            found |= set(devices.decode(errors="replace").split("\0")) if enabled else set()
    return found - {""}


def drivers_by_device(aliases: str) -> dict[str, set[str]]:
    """By what a device says that it is, the names of its modules, out of modules.alias: `alias of:N*T*Cname module`."""
    found: dict[str, set[str]] = {}
    for device, module in re.findall(r"^alias of:N\S*?T\S*?C([^*\s]+)\S* (\S+)$", aliases, re.MULTILINE):
        found.setdefault(device, set()).add(module)
    return found


def modules_near_disks(order: str) -> set[str]:
    """The names of the modules of modules.order, which lists all by path, but for those that no disk hangs on."""
    paths = [line for line in order.split() if not APART.match(line)]
    return {Path(path).name.split(".")[0].replace("-", "_") for path in paths}


def disk_modules(trees: Iterator[Path], modules: Path) -> list[str]:
    """The modules of a kernel, whose index is in the folder `modules`, that the disks of these device trees need."""
    devices = set[str]().union(*(enabled_devices(tree.read_bytes()) for tree in trees))
    drivers = drivers_by_device((modules / "modules.alias").read_text())
    near = modules_near_disks((modules / "modules.order").read_text())
    named = {module for device in devices for module in drivers.get(device, ())}
    return [*BUSES, *sorted(module for module in named if module in near)]


def device_trees(version: str) -> Iterator[Path]:
    """The device trees of that kernel whose names match a line of /etc/initramfs-tools/device-trees."""
    patterns = TREES.read_text().split()
    for path in sorted(Path(f"/usr/lib/linux-image-{version}").rglob("*.dtb")):
        if any(fnmatchcase(path.name, pattern) for pattern in patterns):
            yield path


if __name__ == "__main__":
    print("\n".join(disk_modules(device_trees(sys.argv[1]), MODULES / sys.argv[1])))
