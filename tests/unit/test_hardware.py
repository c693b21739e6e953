"""What the doctor finds plugged into a board.

The trees of /sys and /proc are made here: they have the names and forms that the kernel's documentation
(sysfs-class-hwmon, sysfs-bus-pci, sysfs-bus-usb) and Raspberry Pi's say, and no board was at hand to copy them from.
"""

import os
from pathlib import Path

import pytest

from deploy.onboard.doctor.hardware import (
    FanFacts,
    HardwareFacts,
    NvmeFacts,
    PciLink,
    RootDiskFacts,
    SupplyFacts,
    read_hardware,
)
from tests.unit.test_board_facts import write

PCI = "sys/devices/platform/axi/1000110000.pcie/pci0000:00/0000:00:00.0"


def cell(value: int) -> bytes:
    """The 32 bits of a property in a device tree."""
    return value.to_bytes(4, "big")


def write_cells(folder: Path, **values: int) -> None:
    """Properties of a node of the device tree, by their names."""
    folder.mkdir(parents=True)
    for name, value in values.items():
        (folder / name.replace("__", "-")).write_bytes(cell(value))


def link_folder(link: Path, folder: Path) -> None:
    """A link as /sys has it, to a folder that is made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(folder)


def write_link(folder: Path, which: str, speed: str, lanes: int) -> None:
    """The link of a PCI function."""
    write(folder / f"{which}_link_speed", f"{speed}\n")
    write(folder / f"{which}_link_width", f"{lanes}\n")


def root_disk_at(root: Path, place: str, partition: str) -> Path:
    """Puts the root file system on a partition of the disk at that place below /sys/devices. Returns the disk."""
    disk = root / "sys/devices" / place
    number = root.stat().st_dev
    write(disk / partition / "partition", "2\n")
    link_folder(root / f"sys/dev/block/{os.major(number)}:{os.minor(number)}", disk / partition)
    return disk


def raspberry_pi_5(root: Path) -> None:
    """A Raspberry Pi 5 with the Active Cooler, which started from an NVMe disk in its only PCIe lane."""
    write(root / "sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    for name, text in {"name": "pwmfan", "fan1_input": "2310", "pwm1": "75"}.items():
        write(root / "sys/class/hwmon/hwmon2" / name, f"{text}\n")
    write_cells(root / "proc/device-tree/chosen/bootloader", build__timestamp=1736942400, boot__mode=6)
    write_cells(root / "proc/device-tree/chosen/power", max_current=5000, usb_over_current_detected=0)
    disk = root / PCI / "0000:01:00.0"
    write_link(root / PCI, "max", "5.0 GT/s PCIe", 1)
    write_link(disk, "current", "5.0 GT/s PCIe", 1)
    write_link(disk, "max", "16.0 GT/s PCIe", 4)
    controller = disk / "nvme/nvme0"
    for name, text in {"model": "WD SN580 1TB   ", "hwmon3/temp1_input": "41850", "hwmon3/temp1_max": "83850"}.items():
        write(controller / name, f"{text}\n")
    link_folder(controller / "device", disk)
    link_folder(root / "sys/class/nvme/nvme0", controller)
    root_disk_at(root, f"{PCI.removeprefix('sys/devices/')}/0000:01:00.0/nvme/nvme0/nvme0n1", "nvme0n1p2")


def test_a_board_that_has_everything(tmp_path: Path) -> None:
    raspberry_pi_5(tmp_path)
    assert read_hardware(tmp_path) == HardwareFacts(
        fans=(FanFacts("pwmfan", 2310, 75),),
        eeprom=1736942400,
        nvme=(
            NvmeFacts(
                "nvme0", "WD SN580 1TB", PciLink(5.0, 1), PciLink(16.0, 4), PciLink(5.0, 1), 41.85, 83.85
            ),
        ),
        supply=SupplyFacts(5000),
        boot_mode=6,
        root_disk=RootDiskFacts("nvme0n1", "NVMe"),
    )  # fmt: skip


def test_a_machine_that_has_nothing_of_it(tmp_path: Path) -> None:
    assert read_hardware(tmp_path) == HardwareFacts()


def test_a_fan_without_a_tachometer_and_a_chip_that_is_none(tmp_path: Path) -> None:
    write(tmp_path / "sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    write(tmp_path / "sys/class/hwmon/hwmon1/name", "pwmfan\n")
    write(tmp_path / "sys/class/hwmon/hwmon1/pwm1", "0\n")
    assert read_hardware(tmp_path).fans == (FanFacts("pwmfan", None, 0),)


@pytest.mark.parametrize(("speed", "lanes"), [("Unknown", 1), ("8.0 GT/s PCIe", 0), ("8.0 GT/s PCIe", 63)])
def test_a_disk_of_a_virtual_machine_has_no_link(tmp_path: Path, speed: str, lanes: int) -> None:
    disk = tmp_path / "sys/devices/pci0000:00/0000:00:03.0"
    write_link(disk, "current", speed, lanes)
    write(disk / "nvme/nvme0/model", "QEMU NVMe Ctrl\n")
    link_folder(disk / "nvme/nvme0/device", disk)
    link_folder(tmp_path / "sys/class/nvme/nvme0", disk / "nvme/nvme0")
    assert read_hardware(tmp_path).nvme == (NvmeFacts("nvme0", "QEMU NVMe Ctrl"),)


def test_a_limit_that_the_disk_does_not_have_is_none(tmp_path: Path) -> None:
    raspberry_pi_5(tmp_path)
    write(tmp_path / PCI / "0000:01:00.0/nvme/nvme0/hwmon3/temp1_max", "65261850\n")
    assert read_hardware(tmp_path).nvme[0].limit is None


def test_the_loader_s_age_under_the_name_that_the_documentation_has(tmp_path: Path) -> None:
    write_cells(tmp_path / "proc/device-tree/chosen/bootloader", build_timestamp=7)
    assert read_hardware(tmp_path).eeprom == 7


def test_a_property_of_another_size_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree/chosen/power").mkdir(parents=True)
    (tmp_path / "proc/device-tree/chosen/power/max_current").write_bytes(b"\x13\x88")
    assert read_hardware(tmp_path).supply is None


@pytest.mark.parametrize(
    ("place", "partition", "transport"),
    [
        ("platform/axi/1000fff000.mmc/mmc_host/mmc0/mmc0:0001/block/mmcblk0", "mmcblk0p2", "SD card or eMMC"),
        ("pci0000:00/0000:00:04.0/virtio1/block/vda", "vda2", "virtio"),
        ("pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda", "sda2", "SATA"),
    ],
)
def test_the_bus_of_the_system_s_disk(tmp_path: Path, place: str, partition: str, transport: str) -> None:
    disk = root_disk_at(tmp_path, place, partition)
    assert read_hardware(tmp_path).root_disk == RootDiskFacts(disk.name, transport)


@pytest.mark.parametrize(("kind", "transport"), [("SD", "SD card"), ("MMC", "eMMC")])
def test_a_card_and_soldered_memory_are_told_apart(tmp_path: Path, kind: str, transport: str) -> None:
    disk = root_disk_at(tmp_path, "platform/fe330000.mmc/mmc_host/mmc1/mmc1:0001/block/mmcblk1", "mmcblk1p3")
    write(disk / "device/type", f"{kind}\n")
    assert read_hardware(tmp_path).root_disk == RootDiskFacts("mmcblk1", transport)


def test_the_speed_of_a_usb_disk_and_of_the_fastest_port(tmp_path: Path) -> None:
    port = "platform/axi/1000120000.pcie/1f00200000.usb/xhci-hcd.0/usb1"
    root_disk_at(tmp_path, f"{port}/1-1/1-1:1.0/host0/target0:0:0/0:0:0:0/block/sda", "sda2")
    write(tmp_path / "sys/devices" / port / "1-1/speed", "480\n")
    write(tmp_path / "sys/devices" / port / "speed", "480\n")
    for name, speed in {"usb1": "480", "usb2": "5000", "usb3": "1.5"}.items():
        write(tmp_path / "sys/bus/usb/devices" / name / "speed", f"{speed}\n")
    assert read_hardware(tmp_path).root_disk == RootDiskFacts("sda", "USB", 480, 5000)


def test_a_system_on_no_single_disk_is_not_guessed(tmp_path: Path) -> None:
    root_disk_at(tmp_path, "virtual/block/dm-0", "part")
    assert read_hardware(tmp_path).root_disk is None
