"""What a built binary must be before anything uses it, read from the binary itself and from running it."""

from __future__ import annotations

import platform
import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capstone import CS_ARCH_ARM64, CS_MODE_ARM, Cs
from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from deploy.build.artifact import GLIBC, Proof
from deploy.controller.programs import run_program
from deploy.cpu import KERNELS, Cpu
from deploy.errors import BoardllamaError

SERVER_LIMIT_MB = 15
RUN_SECONDS = 120
# In Debian's package libc6-arm64-cross; a dynamic arm64 program needs an arm64 loader, also under emulation.
SYSROOT = Path("/usr/aarch64-linux-gnu")
_GLIBC_LIBRARIES = {
    "libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-aarch64.so.1",
}  # fmt: skip
# Present only in the table of embedded files: the server's own code names the other paths of the web UI.
_WEB_UI = b"_app/version.json"

# (mask, value) of the encodings, from the Arm Architecture Reference Manual: SDOT (vector), SDOT (by element), SMMLA.
# They find candidates among millions of words in well under a second; capstone then says what each one is.
_ENCODINGS = ((0xBFE0FC00, 0x0E809400), (0xBFC0F400, 0x0F80E000), (0xFFE0FC00, 0x4E80A400))


def prove_programs(folder: Path, cpu: Cpu) -> Proof:
    """Proves every llama-* program in the folder. Raises BoardllamaError that names the program and the broken rule."""
    programs = sorted(folder.glob("llama-*"))
    if not programs:
        raise BoardllamaError(f"{folder} holds no llama-* program")
    highest = max((_prove_form(program) for program in programs), key=_version_numbers)
    counts = {program.name: _prove_kernels(program, cpu) for program in programs}
    server = folder / "llama-server"
    _prove_server(server)
    return Proof(glibc=highest, instructions=counts, version=run_version(server, cpu), ran_on=cpu.qemu)


def _prove_form(program: Path) -> str:
    """aarch64, stripped, nothing but glibc, nothing newer than GLIBC. Returns the highest GLIBC version it asks for."""
    try:
        with program.open("rb") as file:
            elf = ELFFile(file)
            if elf["e_machine"] != "EM_AARCH64":
                raise BoardllamaError(f"{program.name} is built for {elf['e_machine']}, must be EM_AARCH64")
            symbols = [name for name in _section_names(elf) if name == ".symtab" or name.startswith(".debug")]
            if symbols:
                raise BoardllamaError(f"{program.name} is not stripped: it has {', '.join(symbols[:3])}")
            foreign = sorted(set(needed_libraries(elf)) - _GLIBC_LIBRARIES)
            if foreign:
                raise BoardllamaError(f"{program.name} needs {', '.join(foreign)}: only glibc's libraries are allowed")
            highest = max(glibc_versions(elf), key=_version_numbers, default="0")
    except (ELFError, struct.error) as error:
        raise BoardllamaError(f"{program.name} is no ELF program: {error}") from error
    if _version_numbers(highest) > _version_numbers(GLIBC):
        raise BoardllamaError(f"{program.name} needs GLIBC_{highest}: must be at most {GLIBC} for our targets")
    return highest


def _section_names(elf: ELFFile) -> list[str]:
    return [section.name for section in elf.iter_sections()]


def needed_libraries(elf: ELFFile) -> list[str]:
    """The DT_NEEDED entries, e.g. ["libm.so.6", "libc.so.6"]."""
    dynamic = elf.get_section_by_name(".dynamic")
    if not isinstance(dynamic, DynamicSection):
        return []
    tags: Iterator[Any] = dynamic.iter_tags("DT_NEEDED")
    return [tag.needed for tag in tags]


def glibc_versions(elf: ELFFile) -> Iterator[str]:
    """Every GLIBC_x.y that the program asks for, without the prefix."""
    section = elf.get_section_by_name(".gnu.version_r")
    for _, versions in section.iter_versions() if isinstance(section, GNUVerNeedSection) else ():
        for version in versions:
            if version.name.startswith("GLIBC_"):
                yield version.name.removeprefix("GLIBC_")


def _version_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _prove_kernels(program: Path, cpu: Cpu) -> dict[str, int]:
    with program.open("rb") as file:
        text = ELFFile(file).get_section_by_name(".text")
        counts = kernel_counts(text.data() if text else b"")
    absent = sorted(kernel for kernel in cpu.kernels if not counts[kernel])
    if absent:
        raise BoardllamaError(f"{program.name} has no {', '.join(absent)} instruction: a {cpu.name} build must")
    extra = sorted(f"{counts[kernel]} {kernel}" for kernel in KERNELS - cpu.kernels if counts[kernel])
    if extra:
        raise BoardllamaError(f"{program.name} has {', '.join(extra)} instructions: {cpu.name} boards lack them")
    return counts


def kernel_counts(text: bytes) -> dict[str, int]:
    """How many instructions of each kernel are in that little-endian A64 code (4 bytes each)."""
    decoder = Cs(CS_ARCH_ARM64, CS_MODE_ARM)
    counts = dict.fromkeys(sorted(KERNELS), 0)
    for (word,) in struct.iter_unpack("<I", text[: len(text) & ~3]):
        if any(word & mask == value for mask, value in _ENCODINGS):
            for _, _, name, _ in decoder.disasm_lite(struct.pack("<I", word), 0):
                counts[name] = counts.get(name, 0) + 1
    return counts


def _prove_server(server: Path) -> None:
    if server.stat().st_size > SERVER_LIMIT_MB * 1_000_000:
        raise BoardllamaError(f"{server.name} has {server.stat().st_size} bytes: must be at most {SERVER_LIMIT_MB} MB")
    if _WEB_UI not in server.read_bytes():
        raise BoardllamaError(f"{server.name} has no web UI in it ({_WEB_UI.decode()} is not among its files)")


def run_version(program: Path, cpu: Cpu) -> str:
    """What `program --version` says on that processor, in one line. Raises BoardllamaError when it does not run."""
    name = f"{program.name} --version on {cpu.qemu}"
    done = run_program(*emulator_command(cpu), str(program), "--version", deadline=RUN_SECONDS, name=name)
    said = " ".join((done.output + done.errors).decode("utf-8", "replace").split())
    if done.status:
        end = f"exit status {done.status}, {said[-200:]!r}"
        raise BoardllamaError(f"{program.name} --version does not run on {cpu.qemu}: {end}")
    return said


def emulator_command(cpu: Cpu) -> list[str]:
    """Command prefix that runs an arm64 program as that processor; empty on an arm64 controller without QEMU."""
    native = platform.machine() == "aarch64"
    qemu = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if not qemu:
        if native:
            return []
        raise BoardllamaError("no qemu-aarch64 to prove builds: apt-get install qemu-user-static")
    if native:
        return [qemu, "-cpu", cpu.qemu]
    if not (SYSROOT / "lib" / "ld-linux-aarch64.so.1").exists():
        raise BoardllamaError(f"no arm64 C library in {SYSROOT} to prove builds: apt-get install libc6-arm64-cross")
    return [qemu, "-cpu", cpu.qemu, "-L", str(SYSROOT)]
