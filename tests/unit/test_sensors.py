"""What the doctor finds of a board itself: memory, heat, voltage, its name."""

import os
from pathlib import Path

import pytest

from deploy.onboard.doctor import facts, looks, sensors
from tests.unit.test_board_facts import write


def test_memory_is_in_bytes(tmp_path: Path) -> None:
    meminfo = write(
        tmp_path / "meminfo", "MemTotal:  2048 kB\nMemFree: 1 kB\nMemAvailable:    1024 kB\nHugePages_Total: 0\n"
    )
    assert sensors.memory_sizes(meminfo) == (2 << 20, 1 << 20)
    write(meminfo, "MemTotal: 2048 kB\nMemFree: 1 kB\nCached: 3 kB\nno row\n")
    assert sensors.memory_sizes(meminfo) == (2 << 20, 4 << 10), "a kernel that does not say what is available"


@pytest.mark.parametrize(
    ("file", "text", "limits"),
    [
        ("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n", True),
        ("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n", False),
        ("proc/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t9\t60\t1\n", True),
        ("proc/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t60\t0\n", False),
        ("proc/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t0\t60\t1\n", False),
        ("none", "", None),
    ],
)
def test_whether_a_limit_of_memory_holds_here(tmp_path: Path, file: str, text: str, limits: bool | None) -> None:
    write(tmp_path / file, text)
    assert looks.value_or_none(lambda: sensors.has_memory_limits(tmp_path)) is limits


KILLED = {"Result": "signal", "ExecMainStatus": "9", "ExecMainPID": "612"}


@pytest.mark.parametrize(
    ("unit", "log", "ended"),
    [
        (KILLED, "Out of memory: Killed process 612 (llama-server) total-vm:1kB\n", True),
        (KILLED, "Out of memory: Killed process 99 (chromium) total-vm:1kB\n", False),
        (KILLED, "", None),
        ({"Result": "oom-kill"}, "", True),
        ({"Result": "success"}, "", False),
    ],
)
def test_want_of_memory_is_in_the_kernel_s_log(
    monkeypatch: pytest.MonkeyPatch, unit: dict[str, str], log: str, ended: bool | None
) -> None:
    monkeypatch.setattr(facts, "run_command", lambda *words, deadline: log)
    assert looks.value_or_none(lambda: facts.is_ended_for_memory(unit)) is ended


def test_the_board_s_name_is_taken_from_whatever_has_one(tmp_path: Path) -> None:
    write(tmp_path / "proc/device-tree/model", "\0")
    assert sensors.board_model(tmp_path) == os.uname().machine
    write(tmp_path / "sys/class/dmi/id/product_name", "Ampere Altra\n")
    assert sensors.board_model(tmp_path) == "Ampere Altra"


def test_the_hottest_zone_counts(tmp_path: Path) -> None:
    for number, degrees in enumerate((41000, 62500)):
        write(tmp_path / f"class/thermal/thermal_zone{number}/temp", f"{degrees}\n")
    assert sensors.read_temperature(tmp_path) == 62.5
    assert looks.value_or_none(lambda: sensors.read_temperature(tmp_path / "none")) is None


@pytest.mark.parametrize(
    ("said", "degrees"),
    [
        (("83500\n", None), 83.5),  # reading one fails, as of a sensor that sleeps
        ((None, "41000\n"), 41.0),
        (("", "41000\n"), 41.0),
        (("-274000\n", "41000\n", "255000\n"), 41.0),  # nothing is wired to them
        (("45\n", "51\n"), 51.0),  # vendor kernels before 4.x
        ((None,), None),
    ],
)
def test_a_zone_that_does_not_answer_hides_no_other(
    tmp_path: Path, said: tuple[str | None, ...], degrees: float | None
) -> None:
    for number, text in enumerate(said):
        zone = tmp_path / f"class/thermal/thermal_zone{number}/temp"
        zone.mkdir(parents=True) if text is None else write(zone, text)
    assert looks.value_or_none(lambda: sensors.read_temperature(tmp_path)) == degrees


def test_a_board_without_zones_has_the_sensors_of_its_chips(tmp_path: Path) -> None:
    (tmp_path / "class/hwmon/hwmon0/temp1_input").mkdir(parents=True)
    write(tmp_path / "class/hwmon/hwmon1/temp1_input", "47000\n")
    assert sensors.read_temperature(tmp_path) == 47.0


def test_voltage_is_known_from_the_firmware_or_from_the_alarm(tmp_path: Path) -> None:
    write(tmp_path / "class/hwmon/hwmon1/name", "rpi_volt\n")
    write(tmp_path / "class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    (tmp_path / "class/hwmon/hwmon0/name").mkdir(parents=True)
    (tmp_path / "devices/platform/soc0/soc0:firmware/get_throttled").mkdir(parents=True)
    assert sensors.read_throttled(tmp_path) == 1, "entries that cannot be read hide none that can"
    write(tmp_path / "devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    assert sensors.read_throttled(tmp_path) == 0x50005
    if not any((Path(folder) / "vcgencmd").exists() for folder in os.environ["PATH"].split(":")):
        assert looks.value_or_none(lambda: sensors.read_throttled(tmp_path / "none")) is None
