"""What is plugged into a board, as kernel and firmware tell: fans, NVMe disks, power supply, the system's disk.

What is not there is None or an empty tuple, and gets no line. The names below chosen/ are those of Raspberry Pi's
documentation ("Device Trees, overlays, and parameters"); all of them hold 32 bits, the highest byte first.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .looks import in_time, value_or_none, values_from
from .sensors import HOTTEST, read_degrees

Part = TypeVar("Part")
DEADLINE = 5.0  # seconds: a disk that is dying answers late, or never
CHOSEN = Path("proc/device-tree/chosen")
# How the bus of a disk shows in its path below /sys/devices.
TRANSPORTS = {"nvme": "NVMe", "usb": "USB", "mmc": "SD card or eMMC", "virtio": "virtio", "ata": "SATA"}
MEMORIES = {"SD": "SD card", "MMC": "eMMC"}


@dataclass(frozen=True)
class FanFacts:
    """A fan. `turns`: in a minute; None without a tachometer. `drive`: how hard it is driven, of 255; None: unknown."""

    name: str
    turns: int | None = None
    drive: int | None = None


@dataclass(frozen=True)
class PciLink:
    """`speed` of a lane in GT/s, and the number of lanes."""

    speed: float
    lanes: int

    def __str__(self) -> str:
        return f"{self.speed:.1f} GT/s x{self.lanes}"

    def shared_with(self, other: "PciLink") -> "PciLink":
        """The best link between an end that can do this and one that can do the other."""
        return PciLink(min(self.speed, other.speed), min(self.lanes, other.lanes))


@dataclass(frozen=True)
class NvmeFacts:
    """An NVMe disk. `link`: as it is now; `own` and `slot`: what the disk and its slot can do.

    Degrees Celsius; `limit`: from where on the disk's maker wants it cooled. None: not told.
    """

    name: str
    model: str = ""
    link: PciLink | None = None
    own: PciLink | None = None
    slot: PciLink | None = None
    temperature: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class SupplyFacts:
    """A Raspberry Pi 5's power supply. `current`: what it offers, in milliamperes.

    `usb_overload`: the USB ports gave more than they may while the board started.
    """

    current: int
    usb_overload: bool = False


@dataclass(frozen=True)
class RootDiskFacts:
    """The disk of the system. `transport`: such as USB.

    Mbit/s: `usb_speed` of its connection, `usb_fastest` of the board's fastest USB port.
    """

    name: str
    transport: str
    usb_speed: int | None = None
    usb_fastest: int | None = None


@dataclass(frozen=True)
class HardwareFacts:
    """`eeprom`: when the boot loader in the EEPROM was built, in seconds since 1970.

    `boot_mode`: the value of BOOT_ORDER by which that loader found this system.
    """

    fans: tuple[FanFacts, ...] = ()
    eeprom: int | None = None
    nvme: tuple[NvmeFacts, ...] = ()
    supply: SupplyFacts | None = None
    boot_mode: int | None = None
    root_disk: RootDiskFacts | None = None


def read_hardware(root: Path = Path("/")) -> HardwareFacts:
    """All of it. `root`: the folder with the board's proc and sys."""
    loader = root / CHOSEN / "bootloader"
    built = values_from(lambda name: read_cell(loader / name), ("build-timestamp", "build_timestamp"))
    return HardwareFacts(
        fans=parts_from(read_fan, (root / "sys/class/hwmon").glob("hwmon*")),
        eeprom=next(iter(built), None),
        nvme=parts_from(read_nvme, (root / "sys/class/nvme").glob("nvme*")),
        supply=value_or_none(lambda: read_supply(root / CHOSEN / "power")),
        boot_mode=value_or_none(lambda: read_cell(loader / "boot-mode")),
        root_disk=value_or_none(lambda: read_root_disk(root)),
    )


def parts_from(look: Callable[[Path], Part], folders: Iterable[Path]) -> tuple[Part, ...]:
    """What `look` returns for each of the folders in order; nothing of those that do not tell within DEADLINE."""
    return tuple(values_from(lambda folder: in_time(lambda: look(folder), DEADLINE), sorted(folders)))


def read_cell(file: Path) -> int:
    """The 32 bits of a property in a device tree. Raises OSError, ValueError."""
    content = file.read_bytes()
    if len(content) != 4:
        raise ValueError(f"{file} has {len(content)} bytes")
    return int.from_bytes(content, "big")


def read_fan(chip: Path) -> FanFacts:
    """The fan of a folder of /sys/class/hwmon. Raises OSError, ValueError; LookupError for a chip without a fan."""
    turns = value_or_none(lambda: int((chip / "fan1_input").read_text()))
    drive = value_or_none(lambda: int((chip / "pwm1").read_text()))
    if turns is None and drive is None:
        raise LookupError(f"{chip.name} drives no fan")
    return FanFacts((chip / "name").read_text().strip(), turns, drive)


def read_nvme(controller: Path) -> NvmeFacts:
    """The disk of a folder of /sys/class/nvme. Raises OSError."""
    function = (controller / "device").resolve(strict=True)
    chips = [*controller.glob("hwmon*"), *controller.glob("hwmon/hwmon*"), *function.glob("hwmon/hwmon*")]
    warm = values_from(read_degrees, (chip / "temp1_input" for chip in chips))
    limits = values_from(read_degrees, (chip / "temp1_max" for chip in chips))
    return NvmeFacts(
        name=controller.name,
        model=value_or_none(lambda: (controller / "model").read_text().strip()) or "",
        link=value_or_none(lambda: read_link(function, "current")),
        own=value_or_none(lambda: read_link(function, "max")),
        slot=value_or_none(lambda: read_link(function.parent, "max")),
        temperature=next(iter(warm), None),
        # The kernel's greatest value stands for a limit that the disk does not have.
        limit=next((degrees for degrees in limits if degrees < HOTTEST), None),
    )


def read_link(function: Path, which: str) -> PciLink:
    """The `current` or `max` link of a PCI function. Raises OSError; ValueError where it has no link of its own."""
    speed, lanes = ((function / f"{which}_link_{name}").read_text().split() for name in ("speed", "width"))
    if not 0 < int(lanes[0]) <= 32:  # 0 and 63 stand for none
        raise ValueError(f"{function.name} has {lanes[0]} lanes")
    return PciLink(float(speed[0]), int(lanes[0]))


def read_supply(power: Path) -> SupplyFacts:
    """The supply in the folder chosen/power of the device tree. Raises OSError, ValueError."""
    overload = value_or_none(lambda: read_cell(power / "usb_over_current_detected"))
    return SupplyFacts(read_cell(power / "max_current"), bool(overload))


def read_root_disk(root: Path) -> RootDiskFacts:
    """The disk of the root file system. Raises OSError; LookupError for a file system on no single disk."""
    number = root.stat().st_dev
    part = (root / f"sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve(strict=True)
    return disk_facts(part.parent if (part / "partition").exists() else part, root / "sys")


def disk_facts(disk: Path, sys: Path) -> RootDiskFacts:
    """The disk of a folder of /sys/devices. Raises LookupError for a disk on a bus that is not in TRANSPORTS."""
    steps = disk.relative_to(sys.resolve()).parts
    buses = [bus for bus in TRANSPORTS if any(step.startswith(bus) for step in steps)]
    if not buses:
        raise LookupError(disk.name)
    if buses[0] == "mmc":
        kind = value_or_none(lambda: (disk / "device/type").read_text().strip()) or ""
        return RootDiskFacts(disk.name, MEMORIES.get(kind, TRANSPORTS["mmc"]))
    if buses[0] != "usb":
        return RootDiskFacts(disk.name, TRANSPORTS[buses[0]])
    ports = values_from(read_usb_speed, sys.glob("bus/usb/devices/usb*"))
    own = values_from(read_usb_speed, disk.parents)
    return RootDiskFacts(disk.name, TRANSPORTS["usb"], next(iter(own), None), max(ports, default=None))


def read_usb_speed(device: Path) -> int:
    """Mbit/s of a USB device or root hub, whole ones: a slow device has 1.5. Raises OSError, ValueError."""
    return int(float((device / "speed").read_text()))
