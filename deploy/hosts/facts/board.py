"""What machine a target is, asked in one round trip; process() is pure."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from pyinfra.api import FactBase

from deploy import cpu

NEEDED_COMMANDS = ("python3", "curl")
# deploy/onboard is written for it.
OLDEST_PYTHON = (3, 10)
# What a 64-bit kernel calls the machine to those that it takes for 32-bit programs (COMPAT_UTS_MACHINE).
COMPATIBLE = "armv8l"
IN_MEMORY = ("tmpfs", "ramfs", "rootfs")

# Each prints lines that begin with a word of its own. A board where something cannot be asked prints nothing about it.
QUESTIONS = (
    "echo machine $(uname -m)",
    "echo model $(tr -d '\\0' 2>/dev/null </proc/device-tree/model)",
    # Of every core that is on: what it can do, which kind it is, how fast that is said to be.
    "awk -F': *' '/^processor/ {core = \"/sys/devices/system/cpu/cpu\" $2; capacity = fastest = 0;"
    ' getline capacity <(core "/cpu_capacity"); getline fastest <(core "/cpufreq/cpuinfo_max_freq")}'
    ' /^Features/ {print "features " $2} /^CPU implementer/ {maker = $2}'
    ' /^CPU part/ {print "part " maker "/" $2, capacity, fastest}\' /proc/cpuinfo | sort -u',
    f"for name in {' '.join(NEEDED_COMMANDS)}; do command -v $name >/dev/null || echo lacks $name; done",
    "test ! -d /run/systemd/system || echo systemd yes",
    "awk '/^MemTotal/ {print \"memory \" $2}' /proc/meminfo",
    "echo userland $(dpkg --print-architecture 2>/dev/null || getconf LONG_BIT 2>/dev/null)",
    "python3 -V 2>/dev/null",
    'awk \'{print "mount", $2, $3, $2 == "/" ? $4 : ""}\' /proc/mounts',
    "tr ' ' '\\n' </proc/cmdline | sed -nE 's/^(boot|overlayroot)=/boot &/p'",
    "test ! -e /sys/fs/cgroup/cgroup.controllers || echo cgroup $(cat /sys/fs/cgroup/cgroup.controllers) unified",
    "test ! -d /sys/fs/cgroup/systemd || echo cgroup $(ls /sys/fs/cgroup)",
    '{ zcat /proc/config.gz || cat "/boot/config-$(uname -r)"; } 2>/dev/null |'
    ' awk \'/^CONFIG_CGROUP_BPF=y/ {found = 1} END {if (NR) print "filter " (found ? "yes" : "no")}\'',
)


@dataclass(frozen=True)
class BoardInfo:
    """`features`: the words of /proc/cpuinfo that all cores have; `part`: implementer/part of the fastest core, e.g.
    0x41/0xd0b; `lacks`: missing commands; `memory`: bytes; `userland`: what its programs are, "arm64", "armhf", "32".

    `forgets`: the root file system is in memory, and every start begins anew; `read_only`: it cannot be written to.
    `limits_memory`, `filters_addresses`: False where the kernel is known to ignore MemoryMax= and IPAddressAllow=. What
    is not known is "" or the best.
    """

    machine: str = ""
    model: str = ""
    features: frozenset[str] = frozenset()
    part: str | None = None
    lacks: tuple[str, ...] = ()
    systemd: bool = False
    memory: int = 0
    userland: str = ""
    python: str = ""
    forgets: bool = False
    read_only: bool = False
    limits_memory: bool = True
    filters_addresses: bool = True


class Board(FactBase[BoardInfo]):
    """The machine: BoardInfo(machine="aarch64", model="Raspberry Pi 5 …", features=frozenset({"asimddp", …}), …)."""

    @staticmethod
    def default() -> BoardInfo:
        return BoardInfo()

    def command(self) -> str:
        return "; ".join(QUESTIONS)

    def process(self, output: list[str]) -> BoardInfo:
        found: dict[str, list[str]] = {}
        for line in output:
            name, _, value = line.partition(" ")
            found.setdefault(name, []).append(value.strip())
        cores = [frozenset(value.split()) for value in found.get("features", [])]
        groups = {word for line in found.get("cgroup", []) for word in line.split()}
        return BoardInfo(
            machine="".join(found.get("machine", [])),
            model="".join(found.get("model", [])),
            # A big.LITTLE board may run the server on any core: only what all of them have counts.
            features=frozenset.intersection(*cores) if cores else frozenset(),
            part=fastest_part(found.get("part", [])),
            lacks=tuple(found.get("lacks", [])),
            systemd="systemd" in found,
            memory=1024 * int("".join(found.get("memory", [])) or 0),
            userland="".join(found.get("userland", [])),
            python="".join(found.get("Python", [])),
            read_only="ro" in root_options(found.get("mount", [])).split(","),
            forgets=is_in_memory(found.get("mount", []), " ".join(found.get("boot", []))),
            limits_memory=not groups or "memory" in groups,
            # systemd attaches its filter to a group of the second hierarchy, "unified"; beside the first, or alone.
            filters_addresses=found.get("filter") != ["no"] and (not groups or "unified" in groups),
        )


def fastest_part(lines: list[str]) -> str | None:
    """The part of the fastest core. Each line is a part, its capacity and its highest frequency, as far as known."""
    kinds = [(*line.split(), "0", "0")[:3] for line in lines]
    ranked = {(int(capacity), int(hertz), cpu.size_of(part)): part for part, capacity, hertz in kinds}
    return ranked[max(ranked)] if ranked else None


def root_options(mounts: list[str]) -> str:
    """How the root file system is mounted, as in /proc/mounts."""
    rows = [(*line.split(), "")[:3] for line in mounts]
    return next((options for place, _, options in reversed(rows) if place == "/"), "")


def is_in_memory(mounts: list[str], boot: str) -> bool:
    """Whether the root file system is lost at the next start.

    `mounts`: place, type and, for the root, options, in the order of /proc/mounts; `boot`: the words about an overlay
    on the kernel's command line.
    """
    kinds = {place: kind for place, kind, *_ in map(str.split, mounts)}
    upper = re.search(r"(?:^|,)upperdir=([^,]+)", root_options(mounts))
    if not upper:
        return kinds.get("/") in IN_MEMORY
    place = PurePosixPath(upper[1])
    kind = next((kinds[str(folder)] for folder in (place, *place.parents) if str(folder) in kinds), "overlay")
    # What an initramfs mounted may not show any more: then the words are asked that told it to.
    return kind in IN_MEMORY or (
        kind == "overlay" and re.search(r"\b(boot=overlay|overlayroot=tmpfs)", boot) is not None
    )


def system_misfit(board: BoardInfo) -> str | None:
    """Why boardllama cannot serve on the board's system, and what to do; None when it can."""
    if board.machine.startswith("armv") and board.machine != COMPATIBLE:
        return f"this machine is {board.machine}, its kernel is 32-bit: install a 64-bit (arm64) system on it"
    if board.machine not in ("aarch64", COMPATIBLE):
        return f"this machine is {board.machine or 'unknown'}: boardllama serves aarch64 (64-bit Arm) machines"
    if board.machine == COMPATIBLE or board.userland not in ("", "arm64", "64"):
        return (
            f"the system of this board is 32-bit ({board.userland or board.machine}), though its kernel is 64-bit: no "
            "program of boardllama would start; install the 64-bit (arm64) edition of its system"
        )
    if board.python and tuple(map(int, re.findall(r"\d+", board.python)[:2])) < OLDEST_PYTHON:
        return (
            f"this board has Python {board.python}: boardllama needs {'.'.join(map(str, OLDEST_PYTHON))} or newer "
            "there; upgrade it to Debian 12, Raspberry Pi OS Bookworm, Ubuntu 22.04, or newer"
        )
    if board.forgets:
        return (
            "this board forgets all changes at its next start: its root file system is in memory; switch the overlay "
            "off (raspi-config: Performance Options, Overlay File System; or overlayroot in /etc/overlayroot.conf), "
            "restart it, run again"
        )
    if board.read_only:
        return (
            "the root file system of this board is mounted read-only: `mount -o remount,rw /` there, run again; where "
            "nobody mounted it so, its disk had an error, which `journalctl -k` tells"
        )
    return None


def board_shortcomings(board: BoardInfo) -> list[str]:
    """What boardllama cannot promise on this board, though it serves there."""
    if board.limits_memory:
        return []
    return [
        "the kernel of this board has no memory cgroup, so MemoryMax= does nothing: a server that takes too much "
        "memory is ended only when the whole board is out of it; on Raspberry Pi OS put cgroup_enable=memory into the "
        "line of cmdline.txt and restart"
    ]
