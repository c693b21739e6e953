"""The doctor's judgement, from facts as boards gave them: every red line has a next step, none is red for nothing."""

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from deploy.onboard.doctor.diagnosis import CHECKS, diagnose
from deploy.onboard.doctor.facts import Facts, FileSystem, Interface, ServiceFacts
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
WELL = Facts(
    host="kitchen",
    board="Raspberry Pi 4 Model B Rev 1.4",
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
)
NOTHING = Facts(host="x", board="y", root=False, services=(ServiceFacts(OLLAMA.unit, str(OLLAMA.models)),))
HALTED = {"LoadState": "loaded", "ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}
KILLED = {"LoadState": "loaded", "ActiveState": "failed", "Result": "signal", "ExecMainStatus": "9", "MemoryMax": "5"}
STOPPED = {"LoadState": "loaded", "ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "1"}


def changed(facts: Facts, **change: Any) -> Facts:
    """The same board, of which something else is known; what is known of a service is its first one's."""
    names = {field.name for field in fields(ServiceFacts)}
    service = {name: change.pop(name) for name in names & set(change)}
    return replace(facts, services=(replace(facts.services[0], **service), *facts.services[1:]), **change)


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


def test_no_red_line_is_without_advice_and_the_worst_board_fits_one_screen() -> None:
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
    )
    lines = diagnose(worst)
    assert all(line.light is Light.BAD and line.advice for line in lines)
    assert len(render_screen("x", lines, colour=False).splitlines()) <= 45


def test_colours_are_for_terminals() -> None:
    line = Line("link", Light.BAD, "no link", "plug it in")
    assert "\033[" not in render_screen("t", [line], colour=False)
    assert render_screen("t", [line], colour=True).count("\033[") == 2


def test_what_goes_over_the_wire_is_read_back() -> None:
    told = to_json(WELL, diagnose(WELL))
    assert "\n" not in told
    assert screen_from_json(told) == ("kitchen, Raspberry Pi 4 Model B Rev 1.4", diagnose(WELL))
    assert json.loads(told)["facts"]["disks"][0]["folder"] == "/"


def test_of_two_services_each_is_judged_and_named() -> None:
    second = replace(SERVICE, name="second.service", unit=HALTED, health=Health(State.EXITED))
    told = {line.name: line for line in diagnose(replace(WELL, services=(SERVICE, second)))}
    assert told[f"service of {OLLAMA.unit}"].light is Light.GOOD
    assert (told["service of second.service"].light, told["service of second.service"].advice) == (
        Light.BAD, "`systemctl start second.service`",
    )  # fmt: skip


def test_every_check_is_tried_here() -> None:
    assert {name for name, *_ in FAULTS} == set(CHECKS)
