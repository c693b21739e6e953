"""The VM's root: what names it, what must not get into it, and what a failed build leaves behind."""

import configparser
import gzip
import os
import shutil
import subprocess
import tarfile
from contextlib import nullcontext
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from deploy.debian import binfmt, tools, tree_cache, workspace
from deploy.debian.controller import check_controller
from deploy.debian.tar_files import refuse_foreign_programs, write_tar
from deploy.debian.word_lists import read_words
from deploy.errors import BoardllamaError
from deploy.vm import root_tree
from deploy.vm.machine import GUEST_API_PORT
from deploy.vm.root_steps import HERE

UNITS = HERE / "files/etc/systemd/system"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def put_program(folder: Path, name: str, body: str) -> None:
    """A shell script under that name."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def elf(machine: int) -> bytes:
    """The first bytes of a program for that machine (ELF's e_machine)."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00" + machine.to_bytes(2, "little") + bytes(40)


def tree_with(path: Path, content: bytes) -> Path:
    """A tar file with one program in it, and a link."""
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("./usr/bin/program")
        member.size = len(content)
        tar.addfile(member, BytesIO(content))
        link = tarfile.TarInfo("./usr/bin/link")
        link.type, link.linkname = tarfile.SYMTYPE, "program"
        tar.addfile(link)
    return path


def test_the_key_names_every_input(tmp_path: Path) -> None:
    """A changed, added or renamed file in root/ makes another root; an untouched copy does not."""
    copy = tmp_path / "root"
    shutil.copytree(HERE, copy)
    assert root_tree.vm_root_key(copy) == root_tree.vm_root_key()
    keys = {root_tree.vm_root_key()}
    (copy / "packages.txt").write_text("systemd\n")
    keys.add(root_tree.vm_root_key(copy))
    (copy / "files/etc/hostname").rename(copy / "files/etc/name")
    keys.add(root_tree.vm_root_key(copy))
    assert len(keys) == 3


def test_a_finished_root_is_used_without_running_any_program(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither mmdebstrap nor the network is needed then."""
    folder = cache / "roots" / root_tree.vm_root_key()
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text('{"identity": "abc"}')
    monkeypatch.setenv("PATH", "/nonexistent")
    root = root_tree.ensure_vm_root()
    assert (root.identity, root.kernel, root.disk) == ("abc", folder / "vmlinuz", folder / "root.ext4")


def test_a_failed_build_says_why_and_leaves_no_root(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mmdebstrap's own words and where the rest is; what it left is gone at the next try."""
    put_program(tmp_path / "bin", "mmdebstrap", "echo 'E: apt-get update failed' >&2; echo more; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    roots = cache / "roots"
    (roots / ".new-killed").mkdir(parents=True)
    with pytest.raises(BoardllamaError, match=r"tools: packages failed \(E: apt-get update failed\); .*build\.log"):
        tree_cache.build_tree(roots / root_tree.vm_root_key(), root_tree.VM_ROOT_RECIPE)
    assert not (roots / root_tree.vm_root_key()).exists()
    assert not list(cache.glob("*/.new-*"))


def test_tools_are_unpacked_once_and_used_from_then_on(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into a cache that is empty."""
    put_program(
        tmp_path / "bin",
        "mmdebstrap",
        f"cd {tmp_path}; for word; do result=$word; case $word in *.tar) break; esac; done\n"
        'mkdir -p usr/bin && echo one >usr/bin/program && tar --create --file "$result" ./usr',
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    found = tools.ensure_tools()
    assert (found.folder / "usr/bin/program").read_text() == "one\n"
    (tmp_path / "bin/mmdebstrap").unlink()
    assert tools.ensure_tools() == found


def test_the_last_words_of_a_step_are_its_reason(tmp_path: Path) -> None:
    """Not what pyinfra says of every host that failed, nor the last line of all."""
    log = tmp_path / "build.log"
    log.write_text("E: early\n  [@tree] Error: no network\n  [@tree] Error: executed 0 commands\n--> Results:\n")
    assert workspace.failure_reason(log) == "[@tree] Error: no network"
    log.write_text("one\n\ntwo\n")
    assert workspace.failure_reason(log) == "two"
    log.write_text("FAILED tests/a.py::test_one - assert 1\nERROR tests/a.py::test_two - OSError\n2 failed in 3 s\n")
    assert workspace.failure_reason(log) == "FAILED tests/a.py::test_one, ERROR tests/a.py::test_two"


def test_a_step_fails_for_its_own_reason_and_not_an_earlier_one_s(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    made = workspace.Workspace(tmp_path / "work", "trixie")
    made.run_step("first", ["sh", "-c", "echo 'E: a warning that it could do without'"])
    with pytest.raises(BoardllamaError, match=r"second failed \(no room\)"):
        made.run_step("second", ["sh", "-c", "echo no room; exit 1"])


def test_a_full_disk_is_told_before_anything_is_fetched(tmp_path: Path) -> None:
    """With both ways out."""
    with pytest.raises(BoardllamaError, match=r"MiB free and the VM's root needs .* set BOARDLLAMA_CACHE"):
        tree_cache.check_space(tmp_path, replace(root_tree.VM_ROOT_RECIPE, room=2**62))


def test_missing_programs_are_named_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BoardllamaError, match="run sudo apt-get install mmdebstrap"):
        check_controller()


def test_an_x86_program_left_in_the_tree_is_refused(tmp_path: Path) -> None:
    """The native stand-ins must be gone; arm64 programs and scripts pass."""
    refuse_foreign_programs(tree_with(tmp_path / "arm.tar", elf(183)))
    refuse_foreign_programs(tree_with(tmp_path / "script.tar", b"#!/bin/sh\n"))
    with pytest.raises(BoardllamaError, match=r"\./usr/bin/program is for x86"):
        refuse_foreign_programs(tree_with(tmp_path / "x86.tar", elf(62)))


def test_an_x86_program_in_an_initrd_is_refused(tmp_path: Path) -> None:
    """What makes an initrd copies programs of the tree, and would copy a stand-in."""
    for machine, fine in ((183, True), (62, False)):
        path = tmp_path / f"{machine}.tar"
        content = b"07070100plain \x1f\x8b\x08 part" + gzip.compress(b"07070100cpio" + elf(machine))
        with tarfile.open(path, "w") as tar:
            member = tarfile.TarInfo("./boot/initrd.img-6.12")
            member.size = len(content)
            tar.addfile(member, BytesIO(content))
        with nullcontext() if fine else pytest.raises(BoardllamaError, match=r"initrd\.img-6\.12 is for x86"):
            refuse_foreign_programs(path)


def test_packed_files_do_not_depend_on_who_packs_them(tmp_path: Path) -> None:
    """Root's, 644 or 755 whatever the umask was, the same bytes each time."""
    source = tmp_path / "file"
    source.write_text("x")
    packed = []
    for mode in (0o600, 0o664):
        source.chmod(mode)
        write_tar(tmp_path / "out.tar", [(source, "etc/file")])
        packed.append((tmp_path / "out.tar").read_bytes())
    with tarfile.open(tmp_path / "out.tar") as tar:
        member = tar.getmember("etc/file")
    assert (member.uid, member.uname, member.mode) == (0, "root", 0o644)
    assert packed[0] == packed[1]


def test_lists_leave_comments_out() -> None:
    """dpkg itself has its architecture compiled in: it must not be among the stand-ins."""
    assert "openssh-server" in read_words(HERE / "packages.txt")
    assert "dpkg" not in read_words(tools.HERE / "native.txt")
    assert not any(
        word.startswith("#") for path in (HERE / "packages.txt", tools.HERE / "native.txt") for word in read_words(path)
    )


def test_the_front_door_leads_from_qemus_port_to_the_services() -> None:
    """The guest's port of QEMU's forward, on all addresses, to the default address of the service."""
    door = configparser.ConfigParser(interpolation=None)
    door.read(UNITS / "boardllama-front-door.socket")
    assert door["Socket"]["ListenStream"] == f"0.0.0.0:{GUEST_API_PORT}"
    proxy = configparser.ConfigParser(interpolation=None)
    proxy.read(UNITS / "boardllama-front-door.service")
    assert proxy["Service"]["ExecStart"].endswith("systemd-socket-proxyd 127.0.0.1:11434")


def test_root_enters_by_key_only_and_the_cached_root_holds_no_key() -> None:
    """The host key is made at the first boot, root's key comes in at each start."""
    sshd = (HERE / "files/etc/ssh/sshd_config.d/50-boardllama.conf").read_text()
    assert "PermitRootLogin prohibit-password" in sshd
    assert "PasswordAuthentication no" in sshd
    names = [path.name for path in (HERE / "files").rglob("*")]
    assert not any("authorized_keys" in name or name.startswith("ssh_host_") for name in names)
    assert "ssh_host_*" in (HERE / "finish.sh").read_text()


def test_finish_leaves_nothing_that_only_a_first_boot_may_make(tmp_path: Path) -> None:
    """Run on a small tree: no host key, an empty machine-id, the front door wanted, apt's timers off."""
    for name in ("etc/ssh", "var/lib/dbus", "var/lib/systemd", "etc/systemd/system/getty.target.wants"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc/ssh/ssh_host_rsa_key").touch()
    (tmp_path / "etc/machine-id").write_text("uninitialized\n")
    subprocess.run(["sh", str(HERE / "finish.sh"), str(tmp_path)], check=True)
    units = tmp_path / "etc/systemd/system"
    assert list((tmp_path / "etc/ssh").iterdir()) == []
    assert (tmp_path / "etc/machine-id").read_text() == ""
    assert (units / "sockets.target.wants/boardllama-front-door.socket").is_symlink()
    assert (units / "apt-daily.timer").readlink() == Path("/dev/null")


def test_arm64_programs_start_only_with_the_kernels_own_copy_of_the_emulator(tmp_path: Path) -> None:
    """Without flag F the emulator would be looked for inside the tree; disabled or absent is no better."""
    entry = tmp_path / "qemu-aarch64"
    assert not binfmt.is_registered(tmp_path)
    for text, expected in (
        ("enabled\ninterpreter /q\nflags: POF\n", True),
        ("enabled\ninterpreter /q\nflags: OC\n", False),
        ("disabled\ninterpreter /q\nflags: POF\n", False),
    ):
        entry.write_text(text)
        assert binfmt.is_registered(tmp_path) is expected
