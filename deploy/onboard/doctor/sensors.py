"""What a board says of itself, as the kernels of its makers tell it."""

import os
from pathlib import Path

from ..commands import run_command
from .looks import value_or_none, values_from

DEADLINE = 10.0
ZONES, CHIPS = "class/thermal/thermal_zone*/temp", "class/hwmon/hwmon*/temp*_input"
GET_THROTTLED = "devices/platform/soc*/soc*firmware/get_throttled"
# The mainline driver of the Raspberry Pi's firmware.
VOLTAGE_CHIP, VOLTAGE_ALARM = "rpi_volt", "in0_lcrit_alarm"
# Degrees Celsius. A sensor that sleeps, or that nothing is wired to, tells a value outside.
COLDEST, HOTTEST = -40.0, 150.0


def board_model(root: Path = Path("/")) -> str:
    """The board's name by its maker, from the device tree or the firmware; else the machine's kind, as aarch64."""
    names = ("proc/device-tree/model", "sys/firmware/devicetree/base/model", "sys/class/dmi/id/product_name")
    found = values_from(lambda name: (root / name).read_text(errors="replace").strip("\0\n "), names)
    return next(filter(None, found), None) or os.uname().machine


def read_temperature(sys: Path = Path("/sys")) -> float:
    """Degrees Celsius of the hottest thermal zone, or without zones of the hottest chip. Raises ValueError."""
    for pattern in (ZONES, CHIPS):
        if found := [value for value in values_from(read_degrees, sys.glob(pattern)) if COLDEST < value < HOTTEST]:
            return max(found)
    raise ValueError("no sensor tells a temperature")


def read_degrees(file: Path) -> float:
    """Degrees Celsius. The kernel's interface has thousandths of a degree; older vendor kernels write whole degrees."""
    value = int(file.read_text())
    return value / 1000 if abs(value) > HOTTEST else float(value)


def read_throttled(sys: Path = Path("/sys")) -> int:
    """The word of `vcgencmd get_throttled`, by the firmware, its driver or that program. Raises OSError, ValueError."""
    for word in values_from(lambda file: int(file.read_text(), 16), sys.glob(GET_THROTTLED)):
        return word
    for alarm in values_from(voltage_alarm, sys.glob("class/hwmon/hwmon*")):
        return alarm
    return int(run_command("vcgencmd", "get_throttled", deadline=DEADLINE).split("=")[1], 16)


def voltage_alarm(chip: Path) -> int:
    """1 when the board has had too little voltage, else 0. Raises LookupError for another kind of chip."""
    if (chip / "name").read_text().strip() != VOLTAGE_CHIP:
        raise LookupError(chip.name)
    return int((chip / VOLTAGE_ALARM).read_text())


def has_memory_limits(root: Path = Path("/")) -> bool:
    """Whether this kernel can hold a service to its MemoryMax. Raises OSError where the kernel does not tell.

    Raspberry Pi OS starts kernels that have the memory cgroup, with it switched off.
    """
    if (listed := value_or_none(lambda: (root / "sys/fs/cgroup/cgroup.controllers").read_text())) is not None:
        return "memory" in listed.split()
    rows = [line.split() for line in (root / "proc/cgroups").read_text().splitlines()]
    return any(row[0] == "memory" and row[3] == "1" for row in rows if len(row) == 4)


def memory_sizes(meminfo: Path = Path("/proc/meminfo")) -> tuple[int, int]:
    """MemTotal and MemAvailable, in bytes; of kernels without MemAvailable, free memory, buffers and cache."""
    rows = dict(line.partition(":")[::2] for line in meminfo.read_text().splitlines())
    (total,), free = row_sizes(rows, "MemTotal"), row_sizes(rows, "MemFree", "Buffers", "Cached")
    return total, next(iter(row_sizes(rows, "MemAvailable")), sum(free))


def row_sizes(rows: dict[str, str], *names: str) -> list[int]:
    """Sizes in bytes of the rows of /proc/meminfo that are there, of those named."""
    return values_from(lambda name: int(rows[name].split()[0]) * 1024, names)
