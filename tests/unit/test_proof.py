"""What a binary must be: each rule is broken once, by a real program where there is one, and named in one line."""

import struct
from pathlib import Path

import pytest

from deploy.build import proof
from deploy.cpu import find_cpu
from deploy.errors import BoardllamaError

NOP = 0xD503201F
SDOT, SDOT_ELEMENT, SMMLA = 0x4E829420, 0x4F82E020, 0x4E82A420
UDOT, UMMLA, USDOT_ELEMENT = 0x6E829420, 0x6E82A420, 0x4F82F020
AARCH64, X86_64 = 183, 62


def code(*words: int) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


def program(tmp_path: Path, original: str, machine: int = AARCH64) -> Path:
    """A copy of a program of this machine that claims to be for another one."""
    copy = tmp_path / "llama-server"
    body = bytearray(Path(original).read_bytes())
    body[18:20] = struct.pack("<H", machine)
    copy.write_bytes(body)
    return copy


@pytest.mark.parametrize(
    ("text", "sdot", "smmla"),
    [
        (code(NOP, NOP), 0, 0),
        (code(SDOT, NOP, SDOT_ELEMENT), 2, 0),
        (code(SDOT & ~0x40000000), 1, 0),
        (code(SMMLA, SMMLA, SDOT), 1, 2),
        (code(UDOT, UMMLA, USDOT_ELEMENT), 0, 0),
        (code(NOP, SDOT)[:-1], 0, 0),
        (b"", 0, 0),
    ],
)
def test_kernels_are_counted_and_their_relatives_are_not(text: bytes, sdot: int, smmla: int) -> None:
    assert proof.kernel_counts(text) == {"sdot": sdot, "smmla": smmla}


def test_another_machine_is_refused(tmp_path: Path) -> None:
    program(tmp_path, "/bin/true", X86_64)
    with pytest.raises(BoardllamaError, match="llama-server is built for EM_X86_64, must be EM_AARCH64"):
        proof.prove_programs(tmp_path, find_cpu("generic"))


def test_a_newer_glibc_than_our_targets_have_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "GLIBC", "2.0")
    monkeypatch.setattr(proof, "_GLIBC_LIBRARIES", {"libc.so.6"})
    program(tmp_path, "/bin/true")
    with pytest.raises(BoardllamaError, match=r"llama-server needs GLIBC_2\.\d+: must be at most 2\.0"):
        proof.prove_programs(tmp_path, find_cpu("generic"))


def test_a_library_beyond_glibcs_is_refused(tmp_path: Path) -> None:
    program(tmp_path, "/bin/ls")
    with pytest.raises(BoardllamaError, match=r"llama-server needs .*libselinux"):
        proof.prove_programs(tmp_path, find_cpu("generic"))


def test_what_is_no_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "llama-server").write_text("hello")
    with pytest.raises(BoardllamaError, match="llama-server is no ELF program"):
        proof.prove_programs(tmp_path, find_cpu("generic"))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BoardllamaError, match="holds no llama"):
        proof.prove_programs(tmp_path, find_cpu("generic"))


def test_a_server_above_the_limit_or_without_its_web_ui_is_refused(tmp_path: Path) -> None:
    server = tmp_path / "llama-server"
    server.write_bytes(bytes(15_000_001))
    with pytest.raises(BoardllamaError, match="15000001 bytes: must be at most 15 MB"):
        proof._prove_server(server)
    server.write_bytes(b"no pages")
    with pytest.raises(BoardllamaError, match="no web UI"):
        proof._prove_server(server)


@pytest.mark.parametrize(
    ("cpu", "counts", "line"),
    [
        ("cortex-a76", {"sdot": 0, "smmla": 0}, "has no sdot instruction: a cortex-a76 build must"),
        ("cortex-a72", {"sdot": 9, "smmla": 0}, "has 9 sdot instructions: cortex-a72 boards lack them"),
        ("cortex-a76", {"sdot": 9, "smmla": 2}, "has 2 smmla instructions: cortex-a76 boards lack them"),
        ("armv8.6-i8mm", {"sdot": 9, "smmla": 0}, "has no smmla instruction: a armv8.6-i8mm build must"),
    ],
)
def test_a_binary_whose_instructions_do_not_fit_its_cpu_is_refused(
    cpu: str, counts: dict[str, int], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "kernel_counts", lambda _text: counts)
    with pytest.raises(BoardllamaError, match=line):
        proof._prove_kernels(program(tmp_path, "/bin/true"), find_cpu(cpu))


def test_without_qemu_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(BoardllamaError, match="apt-get install qemu-user-static"):
        proof.emulator_command(find_cpu("generic"))


def test_without_an_arm64_c_library_the_package_to_install_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(proof, "SYSROOT", tmp_path)
    with pytest.raises(BoardllamaError, match="apt-get install libc6-arm64-cross"):
        proof.emulator_command(find_cpu("generic"))


def test_an_arm64_controller_without_qemu_runs_the_program_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    monkeypatch.setattr("shutil.which", lambda _name: None)
    assert proof.emulator_command(find_cpu("cortex-a76")) == []


def test_a_program_that_dies_is_refused_with_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = tmp_path / "llama-server"
    server.write_text("#!/bin/sh\necho broken\nexit 132\n")
    server.chmod(0o755)
    monkeypatch.setattr(proof, "emulator_command", lambda _cpu: [])
    with pytest.raises(BoardllamaError, match="does not run on cortex-a53: exit status 132, 'broken'"):
        proof.run_version(server, find_cpu("generic"))
