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
# What a sensor that sleeps, or that nothing is wired to, says lies outside; degrees Celsius.
COLDEST, HOTTEST = -40.0, 150.0


def board_model(root: Path = Path("/")) -> str:
    """As its maker calls it, or by the kind of its CPU."""
    names = ("proc/device-tree/model", "sys/firmware/devicetree/base/model", "sys/class/dmi/id/product_name")
    found = values_from(lambda name: (root / name).read_text(errors="replace").strip("\0\n "), names)
    return next(filter(None, found), None) or os.uname().machine


def read_temperature(sys: Path = Path("/sys")) -> float:
    """Of the hottest zone, or without zones of the hottest sensor of a chip; degrees Celsius. Raises ValueError."""
    for pattern in (ZONES, CHIPS):
        if found := [value for value in values_from(read_degrees, sys.glob(pattern)) if COLDEST < value < HOTTEST]:
            return max(found)
    raise ValueError("no sensor tells a temperature")


def read_degrees(file: Path) -> float:
    """Thousandths of a degree, as the kernel's documentation says; whole ones, as older vendor kernels tell."""
    value = int(file.read_text())
    return value / 1000 if abs(value) > HOTTEST else float(value)


def read_throttled(sys: Path = Path("/sys")) -> int:
    """From the Raspberry Pi's firmware, or from the alarm of the driver that asks it. Raises OSError, ValueError."""
    for word in values_from(lambda file: int(file.read_text(), 16), sys.glob(GET_THROTTLED)):
        return word
    for alarm in values_from(voltage_alarm, sys.glob("class/hwmon/hwmon*")):
        return alarm
    return int(run_command("vcgencmd", "get_throttled", deadline=DEADLINE).split("=")[1], 16)


def voltage_alarm(chip: Path) -> int:
    """1 for too little. Raises LookupError for a chip that watches something else."""
    if (chip / "name").read_text().strip() != VOLTAGE_CHIP:
        raise LookupError(chip.name)
    return int((chip / VOLTAGE_ALARM).read_text())


def has_memory_limits(root: Path = Path("/")) -> bool:
    """Whether this kernel can hold a service to its MemoryMax. Raises LookupError where it does not tell.

    Raspberry Pi OS starts kernels that have the memory cgroup, with it switched off.
    """
    if (listed := value_or_none(lambda: (root / "sys/fs/cgroup/cgroup.controllers").read_text())) is not None:
        return "memory" in listed.split()
    rows = [line.split() for line in (root / "proc/cgroups").read_text().splitlines()]
    return any(row[0] == "memory" and row[3] == "1" for row in rows if len(row) == 4)
