"""Cpu: one arm64 processor and what it means for the compiler, the board, the finished binary and QEMU."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.errors import BoardllamaError, shown
from deploy.onboard.spelling import nearest_name

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
# uses none. QEMU 7.2 knows neither A55 nor A78; their nearest relative of the same architecture level, 8.2, is A76. It
# has no processor with dot products that is without lrcpc.
# armv8.2-dotprod and armv8.6-i8mm are tuned for nothing and ask for no more than armv8.2 and what the kernels use: all
# of 8.6 would ask a board for more and gain nothing.
# fmt: off
_TABLE = (
    #   name               mcpu                                    features    kernels  qemu
    Cpu("generic",         "generic",                              _V8_0,      _PLAIN,  "cortex-a53"),
    Cpu("cortex-a53",      "cortex_a53-aes-sha2",                  _V8_0_CRC,  _PLAIN,  "cortex-a53"),
    Cpu("cortex-a55",      "cortex_a55-aes-sha2",                  _LRCPC,     _DOT,    "cortex-a76"),
    Cpu("cortex-a72",      "cortex_a72-aes-sha2",                  _V8_0_CRC,  _PLAIN,  "cortex-a72"),
    Cpu("cortex-a76",      "cortex_a76-aes-sha2",                  _LRCPC,     _DOT,    "cortex-a76"),
    Cpu("cortex-a78",      "cortex_a78-aes-sha2",                  _LRCPC,     _DOT,    "cortex-a76"),
    Cpu("neoverse-n1",     "neoverse_n1-aes-sha2",                 _LRCPC,     _DOT,    "neoverse-n1"),
    Cpu("armv8.2-dotprod", "generic+v8_2a+dotprod+fullfp16",       _V8_2,      _DOT,    "cortex-a76"),
    Cpu("armv8.6-i8mm",    "generic+v8_2a+dotprod+fullfp16+i8mm",  _I8MM,      KERNELS, "max"),
)
# fmt: on
CPUS = {cpu.name: cpu for cpu in _TABLE}

# Builds that are tuned for a kind of core, the more capable first.
_IN_ORDER = ("cortex-a55", "cortex-a53")
_OUT_OF_ORDER = ("cortex-a76", "cortex-a72")
_WIDE = ("cortex-a78", "cortex-a72")
_SERVER = ("neoverse-n1", "cortex-a72")
# Builds that no processor runs badly, the more capable first: for a core that is not listed, and for a board whose most
# capable build is none of the tuned ones.
_UNTUNED = ("armv8.6-i8mm", "cortex-a76", "armv8.2-dotprod", "generic")

# 'CPU implementer'/'CPU part' of /proc/cpuinfo -> the vendor's name of the core, and the builds tuned for such cores.
# Of two cores that one board may have, the smaller comes first (size_of): the part numbers do not grow with the size.
_PARTS = {
    "0x41/0xd04": ("Cortex-A35", _IN_ORDER),
    "0x41/0xd03": ("Cortex-A53", _IN_ORDER),
    "0x41/0xd05": ("Cortex-A55", _IN_ORDER),
    "0x41/0xd46": ("Cortex-A510", _IN_ORDER),
    "0x41/0xd80": ("Cortex-A520", _IN_ORDER),
    "0x42/0x100": ("Brahma-B53", _IN_ORDER),
    "0x43/0x0a1": ("ThunderX", _IN_ORDER),
    "0x51/0x801": ("Kryo 2xx Silver", _IN_ORDER),
    "0x51/0x803": ("Kryo 3xx Silver", _IN_ORDER),
    "0x51/0x805": ("Kryo 4xx Silver", _IN_ORDER),
    "0x70/0x303": ("FTC310", _IN_ORDER),
    "0x41/0xd07": ("Cortex-A57", _OUT_OF_ORDER),
    "0x41/0xd08": ("Cortex-A72", _OUT_OF_ORDER),
    "0x41/0xd09": ("Cortex-A73", _OUT_OF_ORDER),
    "0x41/0xd0a": ("Cortex-A75", _OUT_OF_ORDER),
    "0x41/0xd0b": ("Cortex-A76", _OUT_OF_ORDER),
    "0x41/0xd0e": ("Cortex-A76AE", _OUT_OF_ORDER),
    "0x43/0x0af": ("ThunderX2", _OUT_OF_ORDER),
    "0x48/0xd40": ("Cortex-A76", _OUT_OF_ORDER),
    "0x4e/0x004": ("Carmel", _OUT_OF_ORDER),
    "0x50/0x000": ("X-Gene", _OUT_OF_ORDER),
    "0x51/0x205": ("Kryo", _OUT_OF_ORDER),
    "0x51/0x211": ("Kryo", _OUT_OF_ORDER),
    "0x51/0x800": ("Kryo 2xx Gold", _OUT_OF_ORDER),
    "0x51/0x802": ("Kryo 3xx Gold", _OUT_OF_ORDER),
    "0x51/0x804": ("Kryo 4xx Gold", _OUT_OF_ORDER),
    "0x53/0x001": ("Exynos M1", _OUT_OF_ORDER),
    "0x53/0x002": ("Exynos M3", _OUT_OF_ORDER),
    "0x53/0x003": ("Exynos M4", _OUT_OF_ORDER),
    "0x53/0x004": ("Exynos M5", _OUT_OF_ORDER),
    "0x70/0x663": ("FTC663", _OUT_OF_ORDER),
    "0x70/0x664": ("FTC664", _OUT_OF_ORDER),
    "0x70/0x862": ("FTC862", _OUT_OF_ORDER),
    "0x41/0xd0d": ("Cortex-A77", _WIDE),
    "0x41/0xd41": ("Cortex-A78", _WIDE),
    "0x41/0xd42": ("Cortex-A78AE", _WIDE),
    "0x41/0xd4b": ("Cortex-A78C", _WIDE),
    "0x41/0xd47": ("Cortex-A710", _WIDE),
    "0x41/0xd4d": ("Cortex-A715", _WIDE),
    "0x41/0xd81": ("Cortex-A720", _WIDE),
    "0x41/0xd87": ("Cortex-A725", _WIDE),
    "0x41/0xd44": ("Cortex-X1", _WIDE),
    "0x41/0xd4c": ("Cortex-X1C", _WIDE),
    "0x41/0xd48": ("Cortex-X2", _WIDE),
    "0x41/0xd4e": ("Cortex-X3", _WIDE),
    "0x41/0xd82": ("Cortex-X4", _WIDE),
    "0x41/0xd85": ("Cortex-X925", _WIDE),
    "0x51/0x001": ("Oryon", _WIDE),
    "0x51/0x002": ("Oryon", _WIDE),
    "0x41/0xd0c": ("Neoverse-N1", _SERVER),
    "0x41/0xd40": ("Neoverse-V1", _SERVER),
    "0x41/0xd49": ("Neoverse-N2", _SERVER),
    "0x41/0xd4f": ("Neoverse-V2", _SERVER),
    "0x48/0xd01": ("TaiShan v110", _SERVER),
    "0x48/0xd02": ("TaiShan v120", _SERVER),
    "0xc0/0xac3": ("Ampere-1", _SERVER),
    "0xc0/0xac4": ("Ampere-1a", _SERVER),
}
# A 32-bit system lists these, and none of the words above.
_AARCH32 = frozenset({"half", "thumb", "fastmult", "vfp", "edsp", "neon"})


def vendor_name(part: str | None) -> str:
    """The name that the vendor gives a listed part of /proc/cpuinfo; else the part, or an empty text for None."""
    return _PARTS[part][0] if part in _PARTS else part or ""


def find_cpu(name: str) -> Cpu:
    """The Cpu of that name. Raises BoardllamaError with the nearest valid name, and with all valid names."""
    if name in CPUS:
        return CPUS[name]
    near = nearest_name(name, CPUS, always=True)
    raise BoardllamaError(f"unknown cpu {shown(name)}: did you mean {near!r}? Valid: {', '.join(CPUS)}, or auto")


def best_for(features: frozenset[str], part: str | None = None) -> Cpu:
    """The most capable build that a board with these /proc/cpuinfo features runs.

    part: implementer and part as in /proc/cpuinfo, e.g. "0x41/0xd08"; of equally capable builds its own is chosen.
    Raises BoardllamaError when the board cannot even run generic.
    """
    runnable = [cpu for cpu in _TABLE if cpu.features <= features]
    if not runnable:
        raise BoardllamaError(missing_features(CPUS["generic"], features, part) or "no build fits this board")
    most = max((cpu.kernels for cpu in runnable), key=len)
    equals = {cpu.name: cpu for cpu in runnable if cpu.kernels == most}
    tuned = _PARTS[part][1] if part in _PARTS else ()
    return next(equals[name] for name in (*tuned, *_UNTUNED) if name in equals)


def size_of(part: str) -> int:
    """The rank of a part by the size of the core, for boards that do not say how fast each core is; 0: not listed."""
    return 1 + list(_PARTS).index(part) if part in _PARTS else 0


def part_of(cpu: Cpu) -> str | None:
    """Implementer and part of the processor that a Cpu is named after; None for a Cpu named after an architecture."""
    return next((part for part, (vendors, _build) in _PARTS.items() if vendors.lower() == cpu.name), None)


def missing_features(cpu: Cpu, features: frozenset[str], part: str | None = None) -> str | None:
    """Why a board with these features cannot run that build, in one line with what to use instead; None when it can."""
    lacking = sorted(cpu.features - features)
    if not lacking:
        return None
    board = f"this board ({_PARTS[part][0]})" if part in _PARTS else "this board"
    if found := sorted(features & _AARCH32):
        return f"{board} lists features of 32-bit Arm ({', '.join(found)}): install a 64-bit (arm64) system on it"
    what = f"{cpu.name} needs {', '.join(lacking)}; {board} has not"
    if not CPUS["generic"].features <= features:
        return f"{what}; no build fits it"
    return f"{what}; use {best_for(features, part).name}"
