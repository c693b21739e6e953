"""Cpu: one arm64 processor and what it means for the compiler, the board, the finished binary and QEMU."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from deploy.errors import BoardllamaError

# Words of the 'Features' line of /proc/cpuinfo.
_V8_0 = frozenset({"fp", "asimd"})
_V8_0_CRC = _V8_0 | {"crc32"}
_V8_2 = _V8_0_CRC | {"atomics", "asimdrdm", "fphp", "asimdhp", "asimddp"}
_LRCPC = _V8_2 | {"lrcpc"}
_I8MM = _V8_2 | {"i8mm"}

# The instructions that tell the kernels apart: sdot multiplies int8 vectors, smmla int8 matrices.
KERNELS = frozenset({"sdot", "smmla"})
_PLAIN: frozenset[str] = frozenset()
_DOT = frozenset({"sdot"})


@dataclass(frozen=True)
class Cpu:
    """What one value of the setting `cpu` means.

    mcpu: value for `zig cc -mcpu=` (zig writes _ where clang writes -).
    features: words that the target's /proc/cpuinfo must list, or the binary may die by SIGILL.
    kernels: members of KERNELS that the binary must contain; it must contain no other member.
    qemu: `-cpu` value of QEMU 7.2, system and user emulation, that is at most as capable as the processor.
    """

    name: str
    mcpu: str
    features: frozenset[str]
    kernels: frozenset[str]
    qemu: str


# Crypto instructions are taken out wherever the name implies them: the Raspberry Pi 3 and 4 come without, and inference
# uses none. QEMU 7.2 knows neither A55 nor A78; their nearest relative of the same architecture level, 8.2, is A76.
# For i8mm, armv8.2 plus the extensions that the kernels use: all of 8.6 would ask a board for more and gain nothing.
# fmt: off
_TABLE = (
    #   name            mcpu                                    features    kernels  qemu
    Cpu("generic",      "generic",                              _V8_0,      _PLAIN,  "cortex-a53"),
    Cpu("cortex-a53",   "cortex_a53-aes-sha2",                  _V8_0_CRC,  _PLAIN,  "cortex-a53"),
    Cpu("cortex-a55",   "cortex_a55-aes-sha2",                  _LRCPC,     _DOT,    "cortex-a76"),
    Cpu("cortex-a72",   "cortex_a72-aes-sha2",                  _V8_0_CRC,  _PLAIN,  "cortex-a72"),
    Cpu("cortex-a76",   "cortex_a76-aes-sha2",                  _LRCPC,     _DOT,    "cortex-a76"),
    Cpu("cortex-a78",   "cortex_a78-aes-sha2",                  _LRCPC,     _DOT,    "cortex-a76"),
    Cpu("neoverse-n1",  "neoverse_n1-aes-sha2",                 _LRCPC,     _DOT,    "neoverse-n1"),
    Cpu("armv8.6-i8mm", "generic+v8_2a+dotprod+fullfp16+i8mm",  _I8MM,      KERNELS, "max"),
)
# fmt: on
CPUS = {cpu.name: cpu for cpu in _TABLE}

# 'CPU implementer'/'CPU part' of /proc/cpuinfo -> what the vendor calls it, and the build tuned for it.
_PARTS = {
    "0x41/0xd03": ("Cortex-A53", "cortex-a53"),
    "0x41/0xd04": ("Cortex-A35", "cortex-a53"),
    "0x41/0xd05": ("Cortex-A55", "cortex-a55"),
    "0x41/0xd07": ("Cortex-A57", "cortex-a72"),
    "0x41/0xd08": ("Cortex-A72", "cortex-a72"),
    "0x41/0xd09": ("Cortex-A73", "cortex-a72"),
    "0x41/0xd0a": ("Cortex-A75", "cortex-a76"),
    "0x41/0xd0b": ("Cortex-A76", "cortex-a76"),
    "0x41/0xd0c": ("Neoverse-N1", "neoverse-n1"),
    "0x41/0xd0d": ("Cortex-A77", "cortex-a78"),
    "0x41/0xd41": ("Cortex-A78", "cortex-a78"),
}
# Without a known part, the build of each capability that no processor of that capability runs badly.
_UNTUNED = {KERNELS: "armv8.6-i8mm", _DOT: "cortex-a76", _PLAIN: "generic"}


def named(name: str) -> Cpu:
    """The Cpu of that name. Raises BoardllamaError with the nearest valid name and all of them."""
    if name in CPUS:
        return CPUS[name]
    near = difflib.get_close_matches(name, CPUS, n=1, cutoff=0)[0]
    raise BoardllamaError(f"unknown cpu {name!r}: did you mean {near!r}? Valid: {', '.join(CPUS)}, or auto")


def best_for(features: frozenset[str], part: str | None = None) -> Cpu:
    """The most capable build that a board with these /proc/cpuinfo features runs.

    part: implementer and part as in /proc/cpuinfo, e.g. "0x41/0xd08"; picks the tuned one among equally capable builds.
    Raises BoardllamaError when the board cannot even run generic.
    """
    runnable = [cpu for cpu in _TABLE if cpu.features <= features]
    if not runnable:
        raise BoardllamaError(missing(CPUS["generic"], features, part) or "no build fits this board")
    most = max((cpu.kernels for cpu in runnable), key=len)
    equals = {cpu.name: cpu for cpu in runnable if cpu.kernels == most}
    tuned = _PARTS[part][1] if part in _PARTS else ""
    return equals.get(tuned) or equals.get(_UNTUNED[most]) or next(iter(equals.values()))


def part_of(cpu: Cpu) -> str | None:
    """Implementer and part of the processor that a Cpu is named after; None where that is an architecture level."""
    return next((part for part, (vendors, _build) in _PARTS.items() if vendors.lower() == cpu.name), None)


def missing(cpu: Cpu, features: frozenset[str], part: str | None = None) -> str | None:
    """Why a board with these features cannot run that build, in one line with what to use instead; None when it can."""
    lacking = sorted(cpu.features - features)
    if not lacking:
        return None
    board = f"this board ({_PARTS[part][0]})" if part in _PARTS else "this board"
    what = f"{cpu.name} needs {', '.join(lacking)}; {board} has not"
    if not CPUS["generic"].features <= features:
        return f"{what}; no build fits it"
    return f"{what}; use {best_for(features, part).name}"
