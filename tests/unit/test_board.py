"""The board: process() on output recorded from boards, and what of it keeps boardllama away."""

import re
import subprocess
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from deploy import cpu
from deploy.hosts import target
from deploy.hosts.facts.board import Board, BoardInfo, board_shortcomings, system_misfit

RASPBERRY_PI_5 = """\
machine aarch64
model Raspberry Pi 5 Model B Rev 1.0
features fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
part 0x41/0xd0b 1024 2400000
systemd yes
memory 8256448
userland arm64
Python 3.11.2
mount /dev devtmpfs
mount / ext4 rw,noatime
mount /run tmpfs
cgroup cpuset cpu io pids unified
filter yes"""

ROCKPRO64 = """\
machine aarch64
model Pine64 RockPro64 v2.1
features fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid
part 0x41/0xd03 485 1416000
part 0x41/0xd08 1024 1800000
lacks curl
systemd yes"""


def said(*lines: str) -> BoardInfo:
    """The board that says that."""
    return Board().process(list(lines))


def test_a_board_of_one_kind_of_cores() -> None:
    board = said(*RASPBERRY_PI_5.splitlines())
    assert (board.machine, board.model) == ("aarch64", "Raspberry Pi 5 Model B Rev 1.0")
    assert {"asimddp", "lrcpc"} <= board.features
    assert (board.part, board.lacks, board.systemd) == ("0x41/0xd0b", (), True)
    assert (board.userland, board.python, board.memory) == ("arm64", "3.11.2", 8256448 * 1024)
    assert (board.forgets, board.limits_memory, board.filters_addresses) == (False, False, True)
    assert system_misfit(board) is None


def test_a_big_little_board_is_tuned_for_its_big_cores() -> None:
    board = said(*ROCKPRO64.splitlines())
    assert board.part == "0x41/0xd08"
    assert board.lacks == ("curl",)


@pytest.mark.parametrize(
    ("parts", "fastest"),
    [
        (["0x41/0xd81 905 2600000", "0x41/0xd81 1024 2600000", "0x41/0xd80 279 1800000"], "0x41/0xd81"),
        (["0x41/0xd87 700 2800000", "0x41/0xd85 1024 3900000"], "0x41/0xd85"),
        (["0x41/0xd87 0 2800000", "0x41/0xd85 0 3900000"], "0x41/0xd85"),
        (["0x41/0xd09 0 2200000", "0x41/0xd03 0 1800000"], "0x41/0xd09"),
        (["0x51/0x805 0 1708800", "0x51/0x804 0 2208000"], "0x51/0x804"),
        (["0x41/0xd05", "0x48/0xd40"], "0x48/0xd40"),
        (["0x41/0xd05", "0x53/0x003", "0x41/0xd0a"], "0x53/0x003"),
        (["0x41/0xd87", "0x41/0xd85"], "0x41/0xd85"),
        (["0x51/0x805", "0x41/0xd0d"], "0x41/0xd0d"),
        (["0x99/0x123", "0x41/0xd05"], "0x41/0xd05"),
        (["0x99/0x123"], "0x99/0x123"),
    ],
)
def test_the_fastest_kind_of_cores_is_the_one_that_works(parts: list[str], fastest: str) -> None:
    """By what the kernel says of their speed, and where it says nothing, by their size: never by the number."""
    for order in (parts, parts[::-1]):
        assert said(*(f"part {line}" for line in order)).part == fastest


def test_only_features_that_all_cores_have_count() -> None:
    assert said("machine aarch64", "features fp asimd asimddp", "features fp asimd").features == {"fp", "asimd"}


def test_a_machine_that_is_no_board() -> None:
    board = said("machine x86_64", "model ")
    assert board == BoardInfo(machine="x86_64")
    assert "this machine is x86_64: boardllama serves aarch64" in str(system_misfit(board))


def test_this_machine_answers_every_question() -> None:
    asked = subprocess.run(["sh", "-c", Board().command()], capture_output=True, text=True, check=True)
    assert not asked.stderr
    board = said(*asked.stdout.splitlines())
    assert board.machine
    assert board.memory > 2**28
    assert board.python.startswith("3.")


ROOT_OVER_SD = "mount / overlay rw,lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work"


@pytest.mark.parametrize(
    ("lines", "forgets"),
    [
        (["mount / ext4 rw"], False),
        (["mount / rootfs rw", "mount / ext4 rw", "mount /run tmpfs"], False),
        (["mount / btrfs rw,subvol=/@"], False),
        # raspi-config up to Bullseye: what it mounted in the initramfs does not show.
        ([ROOT_OVER_SD, "mount /run tmpfs", "boot boot=overlay"], True),
        # overlayroot, of Ubuntu and of raspi-config since Bookworm; and with an upper layer on a disk.
        (["mount /media/root-rw tmpfs", "mount / overlay rw,upperdir=/media/root-rw/overlay,lowerdir=/x"], True),
        (["mount /media/root-rw ext4", "mount / overlay rw,lowerdir=/x,upperdir=/media/root-rw/overlay"], False),
        ([ROOT_OVER_SD, "boot overlayroot=tmpfs:swap=1"], True),
        # A live system, without and with persistence.
        (["mount /run tmpfs", "mount / overlay rw,upperdir=/run/live/overlay/rw"], True),
        (["mount /run tmpfs", "mount /run/live/disk ext4", "mount / overlay rw,upperdir=/run/live/disk/rw"], False),
        # A container, on a disk of its host.
        (["mount / overlay rw,lowerdir=/var/lib/docker/a,upperdir=/var/lib/docker/b/diff"], False),
        # Mounted by paths of the folder in which it was done.
        (["mount / overlay rw,lowerdir=l,upperdir=b/diff"], False),
        (["mount / overlay rw,lowerdir=l,upperdir=b/diff", "boot boot=overlay"], True),
        (["mount / tmpfs rw"], True),
        ([], False),
    ],
)
def test_a_root_that_is_lost_at_the_next_start_is_known(lines: list[str], forgets: bool) -> None:
    assert said("machine aarch64", *lines).forgets is forgets


@pytest.mark.parametrize(
    ("lines", "read_only"),
    [
        (["mount / ext4 ro,noatime,errors=remount-ro", "mount /run tmpfs"], True),
        (["mount / ext4 rw,noatime,errors=remount-ro", "mount /sys/fs/bpf bpf"], False),
        ([], False),
    ],
)
def test_a_root_that_cannot_be_written_to_is_known(lines: list[str], read_only: bool) -> None:
    assert said("machine aarch64", *lines).read_only is read_only


@pytest.mark.parametrize(
    ("lines", "limits", "filters"),
    [
        ([], True, True),
        (["cgroup cpuset cpu io memory pids unified"], True, True),
        (["cgroup cpuset cpu io pids unified", "filter yes"], False, True),
        (["cgroup cpu memory unified", "filter no"], True, False),
        (["cgroup blkio cpu memory systemd unified"], True, True),
        (["cgroup blkio cpu memory systemd", "filter yes"], True, False),
        (["cgroup cpu systemd"], False, False),
    ],
    ids=["unknown", "unified", "no memory", "no BPF", "hybrid", "legacy", "legacy without memory"],
)
def test_what_the_kernel_ignores_is_known(lines: list[str], limits: bool, filters: bool) -> None:
    board = said("machine aarch64", *lines)
    assert (board.limits_memory, board.filters_addresses) == (limits, filters)
    assert system_misfit(board) is None
    assert bool(board_shortcomings(board)) is not limits


PI_4 = BoardInfo(machine="aarch64", features=frozenset({"fp", "asimd", "crc32"}), part="0x41/0xd08")


def refusal_of(board: BoardInfo, **settings: Any) -> str | None:
    """What a host of that board, already asked, is refused for when it is told so."""
    host: Any = SimpleNamespace(connector_data={"boardllama_board": board}, name="pi")
    told: Any = SimpleNamespace(**settings)
    return target.why_refused(host, told)


@pytest.mark.parametrize(
    ("differs", "why"),
    [
        ({}, None),
        ({"userland": "arm64", "python": "3.10.0"}, None),
        ({"userland": "64"}, None),
        ({"python": "3.9.2"}, "this board has Python 3.9.2: boardllama needs 3.10 or newer"),
        ({"python": "2.7.18"}, "this board has Python 2.7.18"),
        (
            {"userland": "armhf"},
            r"32-bit \(armhf\), though its kernel is 64-bit.* install the 64-bit",
        ),
        ({"userland": "32"}, r"32-bit \(32\)"),
        ({"machine": "armv7l"}, r"armv7l, its kernel is 32-bit: install a 64-bit \(arm64\) system"),
        (
            {"machine": "armv8l", "userland": "armhf"},
            r"the system of this board is 32-bit \(armhf\), though its kernel is",
        ),
        ({"machine": "armv8l"}, r"the system of this board is 32-bit \(armv8l\), though its kernel is 64-bit"),
        ({"read_only": True}, "mounted read-only: `mount -o remount,rw /` there, run again"),
        ({"forgets": True}, "forgets all changes at its next start: .* switch the overlay off"),
        (
            {"features": frozenset("half thumb fastmult vfp edsp neon vfpv4 idiva crc32".split())},
            "features of 32-bit Arm",
        ),
    ],
)
def test_a_board_that_would_not_serve_is_refused_by_name(differs: dict[str, Any], why: str | None) -> None:
    refused = refusal_of(replace(PI_4, **differs), wanted_cpu=None, server_clients="")
    if why is None:
        assert refused is None
    else:
        assert refused and "\n" not in refused
        assert re.search(why, refused)


@pytest.mark.parametrize("clients", ["", "192.168.1.0/24"])
def test_clients_are_not_chosen_by_a_kernel_that_lets_everyone_in(clients: str) -> None:
    for filters in (True, False):
        board = replace(PI_4, filters_addresses=filters)
        refused = refusal_of(board, wanted_cpu=cpu.find_cpu("generic"), server_clients=clients)
        assert bool(refused) is (bool(clients) and not filters)
        assert not refused or "CONFIG_CGROUP_BPF" in refused
