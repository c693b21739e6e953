"""The doctor's judgement, from facts as boards gave them: every red line has a next step, none is red for nothing."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from deploy.onboard.doctor.diagnosis import CHECKS, diagnose
from deploy.onboard.doctor.facts import Facts, FileSystem, Interface, ServiceFacts
from deploy.onboard.doctor.hardware import (
    FanFacts,
    HardwareFacts,
    NvmeFacts,
    PciLink,
    RootDiskFacts,
    SupplyFacts,
)
from deploy.onboard.doctor.lights import Light, Line
from deploy.onboard.doctor.screen import exit_status, render_screen, screen_from_json, to_json
from deploy.onboard.server.health import Health, State
from deploy.onboard.service import OLLAMA

NOW = 1_795_000_000.0
SERVICE = ServiceFacts(
    name=OLLAMA.unit,
    models=str(OLLAMA.models),
    unit={"LoadState": "loaded", "ActiveState": "active", "Result": "success", "MemoryMax": "3400000000"},
    health=Health(State.READY),
    model="tinyllama.gguf",
    model_size=668_788_096,
)
FAN = FanFacts("pwmfan", 2310, 75)
NVME = NvmeFacts("nvme0", "SN580", PciLink(5.0, 1), PciLink(16.0, 4), PciLink(5.0, 1), 41.85, 83.85)
HARDWARE = HardwareFacts((FAN,), 1_757_000_000, (NVME,), SupplyFacts(5000), 6, RootDiskFacts("nvme0n1", "NVMe"))
WELL = Facts(
    host="kitchen",
    board="Raspberry Pi 5 Model B Rev 1.1",
    root=True,
    interfaces=(Interface("end0", False, True, ("192.168.1.20", "fd00::20")), Interface("wlan0", True, False)),
    gateway="192.168.1.1",
    gateway_answers=True,
    dns=("192.168.1.1",),
    dns_answers=True,
    services=(SERVICE,),
    memory_total=4_000_000_000,
    memory_available=3_000_000_000,
    temperature=48.2,
    throttled=0,
    disks=(
        FileSystem("/", 31_000_000_000, 27_000_000_000, 1_900_000, 1_850_000),
        FileSystem("/run", 400_000_000, 399_000_000, 90_000, 89_000),
    ),
    now=NOW,
    created=NOW - 1000,
    synchronized=True,
    releases=(("r294ce0050d9", "current"), ("r111111111", "previous")),
    ssh=True,
    failed_units=(),
    identity=(),
    hardware=HARDWARE,
)
NOTHING = Facts(host="x", board="y", root=False, services=(ServiceFacts(OLLAMA.unit, str(OLLAMA.models)),))
HALTED = {"LoadState": "loaded", "ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}
KILLED = {"LoadState": "loaded", "ActiveState": "failed", "Result": "signal", "ExecMainStatus": "9", "MemoryMax": "5"}
STOPPED = {"LoadState": "loaded", "ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "1"}


def changed(facts: Facts, **change: Any) -> Facts:
    """The same board, of which something else is known; what is known of a service is its first one's."""
    service, hardware = (
        {field.name: change.pop(field.name) for field in fields(part) if field.name in change}
        for part in (ServiceFacts, HardwareFacts)
    )
    services = (replace(facts.services[0], **service), *facts.services[1:])
    return replace(facts, services=services, hardware=replace(facts.hardware, **hardware), **change)


FAULTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("link", {"interfaces": (Interface("end0", False, False),)}, "end0: no link", "cable"),
    ("link", {"interfaces": ()}, "no network card", "adapter"),
    ("address", {"interfaces": (Interface("end0", False, True),)}, "none", "DHCP server"),
    ("address", {"interfaces": (Interface("end0", False, True, ("169.254.3.4",)),)}, "gave itself", "address in"),
    ("router", {"gateway_answers": False}, "192.168.1.1 does not answer", "gateway in boardllama.txt"),
    ("names", {"dns_answers": False}, "192.168.1.1 does not answer", "set dns"),
    ("clock", {"now": 0.0, "synchronized": False}, "days before the release", "time server"),
    ("power", {"throttled": 0x50000}, "since the start (throttled=0x50000)", "power supply"),
    ("power", {"throttled": 0x1}, "voltage now", "power supply"),
    ("heat", {"throttled": 0x80000}, "slowed down", "heat sink"),
    ("heat", {"temperature": 85.0}, "85 °C", "fan"),
    ("fan", {"fans": (replace(FAN, turns=0),)}, "driven with 75 of 255, and stands still", "plug"),
    ("fan", {"fans": (FanFacts("pwmfan", 0, 0),), "temperature": 65.0}, "stands still at 65 °C", "Restart"),
    ("fan", {"fans": (FAN, FanFacts("pwmfan", None, 0)), "temperature": 70.0}, "stands still at 70 °C", "Restart"),
    ("nvme", {"nvme": (replace(NVME, temperature=84.0),)}, "nvme0 has 84 °C; its maker's limit is 84 °C", "heat sink"),
    (
        "nvme",
        {"nvme": (NVME, replace(NVME, name="nvme1", link=PciLink(2.5, 1)))},
        "nvme1 is linked with 2.5 GT/s x1; it and its slot can 5.0 GT/s x1",
        "cable",
    ),
    ("nvme", {"nvme": (replace(NVME, slot=PciLink(8.0, 4)),)}, "can 8.0 GT/s x4", "seat the disk"),
    ("usb power", {"supply": SupplyFacts(5000, True)}, "took too much current", "unplug"),
    ("space", {"disks": (FileSystem("/", 8_000_000_000, 50_000_000, 900, 800),)}, "50 MB free of 8000 MB", "models"),
    ("space", {"disks": (FileSystem("/", 8_000_000_000, 4_000_000_000, 500_000, 12),)}, "12 inodes", "du --inodes"),
    ("space", {"disks": (FileSystem("/", 9, 9, 9, 9, read_only=True),)}, "takes no writes", "flash a new one"),
    ("memory", {"model_size": 3_500_000_000}, "tinyllama.gguf alone has 3500 MB", "smaller model"),
    ("memory", {"unit": STOPPED, "memory_available": 1_000_000}, "tinyllama.gguf has 668 MB", "ps aux"),
    ("memory", {"unit": {**STOPPED, "Result": "oom-kill"}}, "for want of memory", "smaller context_size"),
    ("memory", {"unit": KILLED, "out_of_memory": True}, "for want of memory", "smaller context_size"),
    (
        "service",
        {"health": Health(State.WAITING, "waiting for the disk of /m: x")},
        "waiting for the disk of /m",
        "mount",
    ),
    ("service", {"health": Health(State.CROWDED, "160 connections")}, "160 connections; it serves", "server_clients"),
    ("service", {"unit": None, "systemd": True}, "systemd does not answer", "start the board again"),
    ("service", {"unit": {"LoadState": "not-found"}}, "not installed", "deploy to this board"),
    ("service", {"config_error": "server.port is 0"}, "server.port is 0", "boardllama check-config"),
    ("service", {"health": Health(State.WRONG, "/health answers 418")}, "answers 418", "restart"),
    (
        "service",
        {"unit": STOPPED, "health": Health(State.EXITED), "words": ("first", "no GGUF file")},
        "is failed (exit-code, status 1): first / no GGUF file",
        "journalctl -u ollama-cpp-server.service",
    ),
    ("service", {"unit": HALTED, "health": Health(State.EXITED)}, "is stopped", "systemctl start"),
    ("service", {"unit": HALTED, "health": Health(State.EXITED), "model": None}, "has no model", "put a .gguf file"),
    ("release", {"releases": ()}, "none", "deploy to this board"),
    ("release", {"releases": (("r1", "prepared"),)}, "none is committed", "deploy again"),
    (
        "release",
        {"releases": (("r1", "current"), ("r2", "rejected: too slow"))},
        "r2 was rejected: too slow",
        "deploy",
    ),
    ("release", {"releases": (("r1", "current"), ("r2", "trial"))}, "r2 is on trial", "restart the board"),
    ("ssh", {"ssh": False}, "nothing listens", "systemctl status ssh"),
    ("card", {"identity": ("line 2: x", "line 3: y")}, "line 2: x (and 1 more)", "mend it"),
    (
        "units",
        {"failed_units": ("ollama-cpp-server.service", "foo.service")},
        "failed: foo.service",
        "foo.service`",
    ),
]
# What serves, and could do better.
REMARKS: list[tuple[str, dict[str, Any], str, str]] = [
    ("fan", {"fans": ()}, "none is seen", "Active Cooler"),
    ("eeprom", {"eeprom": 1_739_231_999}, "of 2025-02-10; Debian's own kernel needs 2025-02-11", "rpi-eeprom-update"),
    ("usb power", {"supply": SupplyFacts(3000)}, "offers 3.0 A; below 5.0 A", "27 W"),
    (
        "boot",
        {"root_disk": RootDiskFacts("sda", "USB", 480, 5000), "boot_mode": 4},
        "sda, USB, at 480 Mbit/s; this board has ports of 5000",
        "blue port",
    ),
]


def lights(facts: Facts) -> dict[str, Light]:
    """By name of the line."""
    return {line.name: line.light for line in diagnose(facts)}


def test_a_board_that_is_well_is_green_everywhere() -> None:
    assert set(lights(WELL).values()) == {Light.GOOD}
    assert exit_status(diagnose(WELL)) == 0


def root_disk(free: int, inodes: int = 800, size: int = 8_000_000_000) -> dict[str, Any]:
    """So many bytes and inodes are free."""
    return {"disks": (FileSystem("/", size, free, 900, inodes),)}


@pytest.mark.parametrize(
    ("name", "good", "red"),
    [
        ("heat", {"temperature": 79.9}, {"temperature": 80.0}),
        ("space", root_disk(200_000_000), root_disk(199_999_999)),
        ("space", root_disk(100_000_000, size=1_000_000_000), root_disk(99_999_999, size=1_000_000_000)),
        ("space", root_disk(200_000_000, 500), root_disk(200_000_000, 499)),
        ("memory", {"model_size": 3_400_000_000}, {"model_size": 3_400_000_001}),
        ("memory", {"unit": STOPPED, "model_size": 3_000_000_000}, {"unit": STOPPED, "model_size": 3_000_000_001}),
        ("clock", {"now": NOW - 1000 - 86_400}, {"now": NOW - 1000 - 86_401}),
    ],
)
def test_what_is_at_its_limit_is_good_and_beyond_it_red(name: str, good: dict[str, Any], red: dict[str, Any]) -> None:
    assert lights(changed(WELL, **good))[name] is Light.GOOD
    assert lights(changed(WELL, **red))[name] is Light.BAD


@pytest.mark.parametrize(("name", "change", "said", "advice"), REMARKS)
def test_what_could_be_better_is_yellow_and_no_fault(name: str, change: dict[str, Any], said: str, advice: str) -> None:
    facts = changed(WELL, **change)
    (line,) = (line for line in diagnose(facts) if line.light is not Light.GOOD)
    assert (line.name, line.light) == (name, Light.LOOK)
    assert said in line.text and advice in line.advice
    assert exit_status(diagnose(facts)) == 0


HARDWARE_LINES = {"fan", "eeprom", "nvme", "usb power", "boot"}


def test_what_a_board_does_not_have_has_no_line() -> None:
    assert set(lights(WELL)) >= HARDWARE_LINES
    assert not HARDWARE_LINES & set(lights(replace(WELL, board="ROCK 5B", hardware=HardwareFacts())))
    assert "nvme" not in lights(changed(WELL, nvme=(NvmeFacts("nvme0", "QEMU NVMe Ctrl", temperature=50.0),)))


@pytest.mark.parametrize(
    ("board", "change", "name", "text"),
    [
        ("ROCK 5B", {"fans": (FanFacts("pwmfan", None, 128),)}, "fan", "driven with 128 of 255; it does not tell"),
        ("ROCK 5B", {"fans": (FanFacts("pwmfan", 0, 0),)}, "fan", "stands still: the board is cool enough"),
        ("Raspberry Pi 4 Model B Rev 1.4", {"eeprom": 1_650_000_000}, "eeprom", "of 2022-04-15"),
        ("ROCK 5B", {"nvme": (replace(NVME, own=PciLink(5.0, 1)),)}, "nvme", "nvme0 (SN580): 5.0 GT/s x1, 42 °C"),
        ("ROCK 5B", {"nvme": (replace(NVME, slot=None, limit=None),)}, "nvme", "16.0 GT/s x4 in another slot"),
        ("x", {"boot_mode": 1}, "boot", "nvme0n1, NVMe; the loader is on SD card: both"),
        ("x", {"boot_mode": 1, "root_disk": RootDiskFacts("mmcblk0", "SD card or eMMC")}, "boot", "SD card or eMMC"),
        ("x", {"boot_mode": 9, "root_disk": None}, "boot", "the loader took source 9"),
        ("Pi 3", {"boot_mode": None, "root_disk": RootDiskFacts("sda", "USB", 480, 480)}, "boot", "sda, USB"),
    ],
)
def test_what_is_as_it_should_be_is_told_in_green(board: str, change: dict[str, Any], name: str, text: str) -> None:
    told = {line.name: line for line in diagnose(changed(replace(WELL, board=board), **change))}
    assert told[name].light is Light.GOOD and text in told[name].text


def test_what_is_not_known_is_grey_and_no_fault() -> None:
    found = lights(NOTHING)
    assert {name for name, light in found.items() if light is not Light.UNKNOWN} == {"release"}


@pytest.mark.parametrize(("name", "change", "said", "advice"), FAULTS)
def test_each_fault_is_one_red_line_with_its_next_step(
    name: str, change: dict[str, Any], said: str, advice: str
) -> None:
    facts = changed(WELL, **change)
    red = {line.name: line for line in diagnose(facts) if line.light is Light.BAD}
    assert name in red
    assert said in red[name].text and advice in red[name].advice
    assert set(red) <= {name, "address"}, "one fault is one line; without a link there is no address either"
    assert exit_status(diagnose(facts)) == 1


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("service", {"health": Health(State.LOADING)}),
        ("memory", {"memory_limits": False}),
        ("memory", {"unit": {**KILLED, "MemoryMax": "infinity"}, "out_of_memory": None}),
        ("release", {"switching": True}),
        ("clock", {"synchronized": None}),
        ("router", {"gateway": None, "gateway_answers": None}),
        ("names", {"dns": (), "dns_answers": None}),
        ("power", {"throttled": None}),
    ],
)
def test_what_may_be_so_is_not_red(name: str, change: dict[str, Any]) -> None:
    assert lights(changed(WELL, **change))[name] is Light.UNKNOWN


def test_where_no_limit_holds_the_doctor_says_so_and_does_not_count_with_it() -> None:
    """As Raspberry Pi OS starts: systemd knows a MemoryMax that the kernel does not."""
    unlimited = changed(WELL, memory_limits=False, unit={**(SERVICE.unit or {}), "MemoryMax": "600000000"})
    (line,) = (line for line in diagnose(unlimited) if line.name == "memory")
    assert "no limit holds" in line.text and "600 MB" not in line.text and line.light is Light.UNKNOWN


def test_out_of_memory_is_the_reason_that_both_lines_give() -> None:
    killed = changed(WELL, unit=KILLED, health=Health(State.EXITED), out_of_memory=True, words=("killed by someone",))
    told = {line.name: line for line in diagnose(killed)}
    assert "the kernel ended it for want of memory" in told["service"].text
    assert "for want of memory" in told["memory"].text


def test_no_red_line_is_without_advice_and_the_worst_board_fits_one_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    worst = changed(
        WELL,
        interfaces=(Interface("end0", False, False),),
        gateway_answers=False,
        dns_answers=False,
        unit=STOPPED,
        health=Health(State.EXITED),
        words=("word " * 100,),
        throttled=0xF000F,
        disks=(FileSystem("/", 9, 9, 9, 9, read_only=True),),
        model_size=10**12,
        now=0.0,
        releases=(),
        ssh=False,
        failed_units=("a.service",),
        identity=("line 1: x",),
        fans=(replace(FAN, turns=0),),
        eeprom=0,
        nvme=(replace(NVME, temperature=90.0),),
        supply=SupplyFacts(900, True),
        root_disk=RootDiskFacts("sda", "USB", 480, 5000),
    )
    lines = diagnose(worst)
    assert not any(line.light is Light.GOOD for line in lines) and all(line.advice for line in lines)
    assert len(render_screen("x", lines, colour=False).splitlines()) <= 45


def test_colours_are_for_terminals() -> None:
    line = Line("link", Light.BAD, "no link", "plug it in")
    assert "\033[" not in render_screen("t", [line], colour=False)
    assert render_screen("t", [line], colour=True).count("\033[") == 2


def test_what_goes_over_the_wire_is_read_back() -> None:
    told = to_json(WELL, diagnose(WELL))
    assert "\n" not in told
    assert screen_from_json(told) == ("kitchen, Raspberry Pi 5 Model B Rev 1.1", diagnose(WELL))
    assert json.loads(told)["facts"]["disks"][0]["folder"] == "/"


def test_of_two_services_each_is_judged_and_named() -> None:
    second = replace(SERVICE, name="second.service", unit=HALTED, health=Health(State.EXITED))
    told = {line.name: line for line in diagnose(replace(WELL, services=(SERVICE, second)))}
    assert told[f"service of {OLLAMA.unit}"].light is Light.GOOD
    assert (told["service of second.service"].light, told["service of second.service"].advice) == (
        Light.BAD, "`systemctl start second.service`",
    )  # fmt: skip


def test_every_check_is_tried_here() -> None:
    assert {name for name, *_ in (*FAULTS, *REMARKS)} == set(CHECKS)
