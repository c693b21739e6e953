"""What the operating system takes away: named by a sweep, set by a unit of ours, and put back."""

import os
from pathlib import Path

import pytest

from deploy.onboard.tune.bench import Bench
from deploy.onboard.tune.borrowed import Borrowed, chosen_word, give_back
from deploy.onboard.tune.conditions import Conditions
from deploy.onboard.tune.setup import Setup
from deploy.onboard.tune.stages import later_stages
from deploy.onboard.tune.system_costs import system_costs
from deploy.onboard.tune.system_settings import run_system_verb
from deploy.onboard.tune.traffic import Traffic
from tests.unit.test_board_facts import write

GOVERNOR = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor"
PAGES = "sys/kernel/mm/transparent_hugepage/enabled"
SWAPS = "Filename\t\t\tType\t\tSize\tUsed\tPriority\n"


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """The files of a kernel whose system takes all away that it can."""
    for core in (0, 1):
        write(tmp_path / GOVERNOR.format(core), "ondemand\n")
    write(tmp_path / PAGES, "always [madvise] never\n")
    write(tmp_path / "proc/swaps", f"{SWAPS}/dev/mmcblk0p3  partition 102396 1024 -2\n/dev/zram0 partition 1 0 100\n")
    write(tmp_path / "proc/mounts", "/dev/mmcblk0p2 / ext4 rw 0 0\n")
    write(tmp_path / "proc/meminfo", "MemTotal: 2000000 kB\nMemAvailable: 1000000 kB\n")
    write(tmp_path / "proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    write(tmp_path / "sys/devices/system/node/online", "0\n")
    return tmp_path


@pytest.fixture
def swap_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs that note with what they were called, in place of swapon and swapoff, which would be this machine's."""
    said = tmp_path / "called"
    for name in ("swapon", "swapoff"):
        program = write(tmp_path / "bin" / name, f'#!/bin/sh\necho {name} "$@" >> {said}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return said


def test_everything_that_the_system_takes_away_is_named(kernel: Path) -> None:
    assert list(system_costs(kernel)) == [
        "the governor is ondemand: cores are slow to speed up; `tune_system = True` sets it to performance",
        "swap on /dev/mmcblk0p3, /dev/zram0 costs seconds, or the cores' time; `tune_system = True` sets it off",
        "huge pages are madvise: repacked weights lie in small ones; `tune_system = True` sets it to always",
        "memory is not interleaved: put numa=fake=8 into cmdline.txt and restart, which this does not do for you",
    ]


def test_a_system_that_takes_nothing_is_not_named(kernel: Path) -> None:
    for core in (0, 1):
        write(kernel / GOVERNOR.format(core), "performance\n")
    write(kernel / PAGES, "[always] madvise never\n")
    write(kernel / "proc/swaps", f"{SWAPS}/dev/nvme0n1p2 partition 102396 0 -2\n")
    write(kernel / "sys/devices/system/node/online", "0-7\n")
    assert list(system_costs(kernel)) == []
    assert list(system_costs(kernel / "nothing")) == []


def test_the_unit_sets_all_of_it_and_puts_it_back(kernel: Path, swap_programs: Path) -> None:
    note = kernel / "run" / "system.json"
    assert run_system_verb(["begin"], kernel, note) == 0
    assert [(kernel / GOVERNOR.format(core)).read_text() for core in (0, 1)] == ["performance"] * 2
    assert (kernel / PAGES).read_text() == "always"
    assert swap_programs.read_text() == "swapoff /dev/mmcblk0p3\nswapoff /dev/zram0\n"
    assert run_system_verb(["end"], kernel, note) == 0
    assert [(kernel / GOVERNOR.format(core)).read_text() for core in (0, 1)] == ["ondemand"] * 2
    assert (kernel / PAGES).read_text() == "madvise"
    assert swap_programs.read_text().endswith("swapon /dev/mmcblk0p3\nswapon /dev/zram0\n")
    assert not note.exists()
    assert run_system_verb(["end"], kernel, note) == 0, "a second end has nothing to do"


def test_a_second_begin_does_not_take_its_own_values_for_the_system_s(kernel: Path, swap_programs: Path) -> None:
    note = kernel / "run" / "system.json"
    for _ in range(2):
        run_system_verb(["begin"], kernel, note)
    run_system_verb(["end"], kernel, note)
    assert (kernel / GOVERNOR.format(0)).read_text() == "ondemand"


def test_swap_stays_where_memory_has_no_room_for_what_lies_in_it(
    kernel: Path, swap_programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(kernel / "proc/swaps", f"{SWAPS}/dev/mmcblk0p3  partition 2000000 1900000 -2\n")
    assert run_system_verb(["begin"], kernel, kernel / "note") == 0
    assert not swap_programs.exists()
    assert capsys.readouterr().err == "/dev/mmcblk0p3 stays: 1945 MB lie there, more than is free in memory\n"


SERVED = Setup("cortex-a76", (0, 1), 2, 2, True)
LATER = ["repacked weights", "flash attention", "cache of conversations", "load mode", "prompt's pieces"]


def test_the_system_is_asked_about_where_it_takes_something_away(kernel: Path) -> None:
    asked = [ask(SERVED) for ask in later_stages(SERVED, 256, kernel)]
    assert [stage.name for stage in asked] == [*LATER, "governor", "huge pages"]
    assert [stage.name for stage in asked if stage.applies] == ["repacked weights"]
    for core in (0, 1):
        write(kernel / GOVERNOR.format(core), "performance\n")
    write(kernel / PAGES, "[always] madvise never\n")
    assert [ask(SERVED).name for ask in later_stages(SERVED, 256, kernel)] == LATER


def test_a_run_has_the_system_as_its_way_says_and_the_next_one_as_it_was(kernel: Path) -> None:
    def system() -> set[str]:
        return {(kernel / name).read_text().strip() for name in (GOVERNOR.format(0), GOVERNOR.format(1), PAGES)}

    note = kernel / "note"
    bench = Bench({}, kernel, {}, Traffic([]), Conditions(kernel), Borrowed(note), print, 0.0, root=kernel)
    bench.apply_system(SERVED._replace(governor="performance", pages="always"))
    assert system() == {"performance", "always"}
    bench.apply_system(SERVED)
    assert system() == {"ondemand", "madvise"}
    bench.apply_system(SERVED._replace(governor="performance"))
    assert give_back(note) == []
    assert system() == {"ondemand", "madvise"}


def test_what_cannot_be_put_back_is_said_and_the_rest_is(kernel: Path) -> None:
    note = kernel / "note"
    changed = Borrowed(note)
    changed.set_value(kernel / GOVERNOR.format(0), "performance")
    changed.set_value(kernel / GOVERNOR.format(1), "performance")
    (kernel / GOVERNOR.format(0)).unlink()
    (kernel / GOVERNOR.format(0)).mkdir()
    (wrong,) = give_back(note)
    assert "could not be set to ondemand again" in wrong
    assert (kernel / GOVERNOR.format(1)).read_text() == "ondemand"


def test_a_value_that_could_not_be_set_need_not_be_put_back(kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, where the files of the kernel are read-only."""
    note, file = kernel / "note", kernel / GOVERNOR.format(0)

    def refuse(_path: Path, _text: str) -> int:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as read_only:
        read_only.setattr(Path, "write_text", refuse)
        with pytest.raises(OSError, match="Read-only"):
            Borrowed(note).set_value(file, "performance")
        assert give_back(note) == []
    assert file.read_text() == "ondemand\n"


@pytest.mark.parametrize(
    ("text", "word"), [("always [madvise] never\n", "madvise"), ("ondemand\n", "ondemand"), ("", "")]
)
def test_the_value_of_a_kernel_s_file(text: str, word: str) -> None:
    assert chosen_word(text) == word


def frequency(kernel: Path, core: int, hertz: int) -> None:
    """Has the kernel say how fast a core runs."""
    write(kernel / f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", str(hertz))


def test_a_run_on_slower_cores_than_before_is_spoiled(kernel: Path) -> None:
    conditions = Conditions(kernel)
    for hertz, spoiled in ((2_400_000, ""), (1_500_000, "its cores ran at 62% of the frequency that they had before")):
        frequency(kernel, 0, hertz)
        conditions.begin_run([0])
        conditions.look()
        assert conditions.end_run(1.0) == spoiled


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("0", ""),
        ("50000", ""),  # it has been so before the run
        ("1", "the voltage was too low: take the board's own power supply"),
        ("4", "the firmware throttled the cores"),
        ("8", "the board was too hot: give it a heat sink or a fan"),
    ],
)
def test_what_the_firmware_says_at_the_end_of_a_run(kernel: Path, word: str, said: str) -> None:
    write(kernel / "sys/devices/platform/soc/soc:firmware/get_throttled", word)
    conditions = Conditions(kernel)
    conditions.begin_run([0])
    assert conditions.end_run(0.0) == said


def test_heat_in_the_midst_of_a_run_spoils_it_too(kernel: Path) -> None:
    throttled = write(kernel / "sys/devices/platform/soc/soc:firmware/get_throttled", "0")
    conditions = Conditions(kernel)
    conditions.begin_run([0])
    write(throttled, "80000")
    assert conditions.end_run(0.0) == "the board was too hot: give it a heat sink or a fan"


def test_swapping_and_other_programs_spoil_a_run(kernel: Path) -> None:
    write(kernel / "proc/vmstat", "pswpin 10\npswpout 10\n")
    conditions = Conditions(kernel)
    conditions.begin_run([0])
    write(kernel / "proc/vmstat", "pswpin 10\npswpout 1010\n")
    assert conditions.end_run(0.0) == "the board swapped: its memory was short"
    write(kernel / "proc/stat", "cpu  0 0 0 0 0 0 0 0 0 0\n")
    conditions.begin_run([0])
    write(kernel / "proc/stat", "cpu  100000 0 0 0 0 0 0 0 0 0\n")
    assert conditions.end_run(0.0).startswith("other programs took ")
    conditions.begin_run([0])
    assert conditions.end_run(0.0) == ""


def test_the_hottest_moment_is_kept(kernel: Path) -> None:
    conditions = Conditions(kernel)
    for degrees in (41_000, 61_500, 52_000):
        write(kernel / "sys/class/thermal/thermal_zone0/temp", str(degrees))
        conditions.begin_run([0])
        conditions.look()
    assert conditions.hottest == 61.5
