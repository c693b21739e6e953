"""The shell that works on root trees, each run on a small tree: a slip would show only minutes into a build."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from deploy.debian import tools
from deploy.image import board_root, unpacked_tree
from deploy.image.boards import DEBIAN_BOARDS
from tests.unit.known_host import program

KERNEL_HOOK = "etc/kernel/postinst.d/zz-boardllama-boot"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """One that dpkg-divert can work on."""
    for name in ("var/lib/dpkg", "usr/bin", "usr/sbin", "usr/lib/native", "boot/firmware", "programs"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def files(tree: Path, **contents: str) -> None:
    """Files of the tree; in their names __ stands for a slash."""
    for name, text in contents.items():
        path = tree / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def run(text: str, tree: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The shell text on the tree, whose `programs` come before the machine's own."""
    environment = {**os.environ, "PATH": f"{tree}/programs:{os.environ['PATH']}:/usr/sbin:/sbin", **variables}
    return subprocess.run(
        ["sh", "-c", text, "hook", tree], env=environment, capture_output=True, text=True, check=False
    )


def shell(path: Path, tree: Path, **variables: str) -> None:
    """A script that must succeed."""
    done = run(path.read_text(), tree, **variables)
    assert done.returncode == 0, done.stderr


def test_the_controllers_programs_stand_in_while_a_tree_is_made_and_leave_no_trace(tree: Path) -> None:
    files(tree, usr__bin__perl="arm64", usr__lib__native__perl="native", usr__bin__tar="arm64")
    shell(tools.HERE / "divert.sh", tree, NATIVE="perl")
    assert (tree / "usr/bin/perl").read_text() == "native"
    assert "perl" in (tree / "var/lib/dpkg/diversions").read_text(), "a package that is set up now keeps out of its way"
    for _ in range(2):  # a hook may have taken it out before
        shell(tools.HERE / "undivert.sh", tree, NATIVE="perl", TRIPLET="x86_64-linux-gnu")
    assert {path.name: path.read_text() for path in (tree / "usr/bin").iterdir()} == {"perl": "arm64", "tar": "arm64"}
    assert not (tree / "usr/lib/native").exists()
    assert (tree / "var/lib/dpkg/diversions").read_text() == ""
    assert not (tree / "var/lib/dpkg/diversions-old").exists()


def test_one_initrd_is_made_when_all_is_there(tree: Path) -> None:
    files(tree, **{"usr__sbin__update-initramfs": "real", "boot__vmlinuz-6.12.1-arm64": "", "usr__bin__kmod": "arm64"})
    (tree / "usr/lib/native/kmod").write_text("native")
    shell(tools.HERE / "divert.sh", tree, NATIVE="kmod")
    shell(board_root.HERE / "hold-initrd.sh", tree)
    held = tree / "usr/sbin/update-initramfs"
    assert subprocess.run([held], check=True, capture_output=True).stdout == b"", "packages that ask for one get none"
    program(tree / "programs" / "chroot", f'shift; echo "$@" >>{tree}/asked; cat {held} {tree}/usr/bin/kmod')
    shell(board_root.HERE / "boot.sh", tree)
    assert (tree / "asked").read_text() == "update-initramfs -c -k 6.12.1-arm64\n"
    assert (held.read_text(), (tree / "usr/bin/kmod").read_text()) == ("real", "arm64"), (
        "the initrd gets the tree's own"
    )


def kernel_hook(board: str, tree: Path, *, mounted: bool = True) -> subprocess.CompletedProcess[str]:
    """The hook of a kernel's upgrade, on a board whose root is the tree."""
    program(tree / "programs" / "ischroot", "exit 1")
    program(tree / "programs" / "mountpoint", f"exit {int(not mounted)}")
    text = (board_root.HERE / board / KERNEL_HOOK).read_text()
    return run(re.sub(r"(?<!\w)(?=/(boot|usr/lib)/)", str(tree), text), tree)


def kernels(tree: Path, *versions: str) -> None:
    """Kernels with what belongs to them."""
    for version in versions:
        device_tree = f"usr/lib/linux-image-{version}/rockchip/rk3399-rockpro64.dtb"
        for name in (f"boot/vmlinuz-{version}", f"boot/initrd.img-{version}", device_tree):
            files(tree, **{name: version})
    files(tree, **{"usr/lib/systemd/boot/efi/systemd-bootaa64.efi": "loader"})


# What a kernel's upgrade puts onto the boot partition, on boards where a hook of ours does it: all that the board needs
# there but the files that come with the image.
BOOTED = {
    board.files: sorted(
        need for need in board.needs if not (board_root.HERE / board.files / "boot/firmware" / need).exists()
    )
    for board in DEBIAN_BOARDS.values()
    if (board_root.HERE / board.files / KERNEL_HOOK).exists()
}


@pytest.mark.parametrize("board", BOOTED)
def test_the_newest_kernel_comes_to_the_boot_partition(tree: Path, board: str) -> None:
    """6.12 is newer than 6.9, whatever the alphabet says."""
    kernels(tree, "6.9.1-arm64", "6.12.1-arm64")
    done = kernel_hook(board, tree)
    assert done.returncode == 0, done.stderr
    boot = tree / "boot/firmware"
    assert sorted(str(path.relative_to(boot)) for path in boot.rglob("*") if path.is_file()) == BOOTED[board]
    assert (boot / "vmlinuz").read_text() == "6.12.1-arm64"


@pytest.mark.parametrize("board", BOOTED)
def test_a_boot_partition_that_is_not_mounted_is_said_and_keeps_its_kernel(tree: Path, board: str) -> None:
    kernels(tree, "6.12.1-arm64")
    done = kernel_hook(board, tree, mounted=False)
    assert done.returncode == 1
    assert "is not mounted, it keeps its kernel" in done.stderr
    assert list((tree / "boot/firmware").iterdir()) == []


@pytest.mark.parametrize("board", BOOTED)
def test_a_kernel_without_its_initrd_is_not_booted(tree: Path, board: str) -> None:
    kernels(tree, "6.12.1-arm64")
    (tree / "boot/initrd.img-6.12.1-arm64").unlink()
    assert kernel_hook(board, tree).returncode == 0
    assert list((tree / "boot/firmware").iterdir()) == []


@pytest.mark.parametrize("mirror", ["", "http://127.0.0.1:3142/debian"])
def test_an_image_holds_nothing_that_only_a_first_boot_may_make(tree: Path, mirror: str) -> None:
    files(tree, etc__ssh__ssh_host_rsa_key="secret", var__lib__systemd__x="", var__lib__dbus__x="")
    files(
        tree, **{"etc/machine-id": "uninitialized\n", "etc/apt/sources.list": "deb mirror", "etc/systemd/system/x": ""}
    )
    (tree / "var/lib/systemd/random-seed").touch()
    program(tree / "programs" / "chown", f'echo "$@" >{tree}/asked')
    shell(unpacked_tree.HERE / "finish.sh", tree, BOARDLLAMA_MIRROR=mirror)
    assert list((tree / "etc/ssh").iterdir()) == []
    assert (tree / "etc/machine-id").read_text() == ""
    assert not (tree / "var/lib/systemd/random-seed").exists()
    assert (tree / "etc/apt/sources.list").exists() == (not mirror), "a board cannot reach its maker's own mirror"
    assert (tree / "etc/resolv.conf").readlink() == Path("../run/systemd/resolve/stub-resolv.conf")
    assert (tree / "etc/systemd/system/apt-daily.timer").readlink() == Path("/dev/null")
    assert (tree / "etc/systemd/system-generators/systemd-tpm2-generator").readlink() == Path("/dev/null")
    assert (tree / "asked").read_text().startswith(f"42:0 {tree}/var/lib/apt/lists/partial")
