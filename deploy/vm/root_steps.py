"""The steps that make the VM's root, each from files to files in the folder of one build."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from deploy.vm.debian import Controller, Stage, files_below, pack, refuse_foreign_programs

HERE = Path(__file__).resolve().parent / "root"
KERNEL = "linux-image-cloud-arm64"
SIZE_BYTES = 4 * 2**30
UUID = "b0a4d11a-0000-4000-8000-000000000001"


def listed(name: str) -> list[str]:
    """The words of a list in root/; a line that begins with # is a comment."""
    lines = (HERE / name).read_text().splitlines()
    return [word for line in lines if not line.startswith("#") for word in line.split()]


def unpack_tools(stage: Stage) -> None:
    """The controller's own builds of tools.txt, of the same release as the tree, in folder/tools."""
    architecture = Controller.this().architecture
    archive = stage.folder / "tools.tar"
    stage.mmdebstrap(
        "tools",
        archive,
        "--variant=extract",
        f"--architectures={architecture}",
        f"--include={','.join(listed('tools.txt'))}",
    )
    unpack(stage, archive, stage.folder / "tools", "./usr")
    (stage.folder / "tools/lib64").symlink_to("usr/lib64")


def unpack_kernel(stage: Stage) -> None:
    """The kernel as folder/vmlinuz, its modules in folder/kernel.

    Its package is only unpacked: setting it up would make an initrd that nothing uses.
    """
    archive = stage.folder / "kernel.tar"
    stage.mmdebstrap("kernel", archive, "--variant=extract", "--architectures=arm64", f"--include={KERNEL}")
    tree = stage.folder / "kernel"
    unpack(stage, archive, tree, "./boot", "./usr/lib/modules")
    (tree / "lib").symlink_to("usr/lib")
    (image,) = (tree / "boot").glob("vmlinuz-*")
    image.rename(stage.folder / "vmlinuz")
    depmod = Controller.this().program(stage.folder / "tools", "usr/sbin/depmod")
    stage.run("module index", [*depmod, "-b", str(tree), image.name.removeprefix("vmlinuz-")])


def unpack(stage: Stage, archive: Path, folder: Path, *members: str) -> None:
    """Unpacks some members of a tar file as the user's own files, then removes the tar file."""
    folder.mkdir()
    command = ["tar", "--extract", "--no-same-owner", "--file", str(archive), "--directory", str(folder), *members]
    stage.run(f"unpacking {folder.name}", command)
    archive.unlink()


def install_packages(stage: Stage) -> None:
    """The tree as folder/root.tar: packages.txt set up, our files and the kernel's modules in it, no x86 file left."""
    tree = stage.folder / "root.tar"
    added = stage.folder / "added.tar"
    pack(added, [*files_below(HERE / "files"), *files_below(stage.folder / "kernel/usr", "usr/")])
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in listed("excluded.txt")]
    options += hooks(stage.folder, added)
    stage.mmdebstrap(
        "packages",
        tree,
        "--variant=minbase",
        "--architectures=arm64",
        f"--include={','.join(listed('packages.txt'))}",
        *options,
    )
    refuse_foreign_programs(tree)


def hooks(folder: Path, added: Path) -> list[str]:
    """mmdebstrap's hooks. Scripts go in as text and files as tar: other user ids need not read the cache."""
    ours = [f"--customize-hook=tar-in {shlex.quote(str(added))} /", f"--customize-hook={script('finish.sh')}"]
    controller = Controller.this()
    if not controller.emulates:
        return ours
    native = folder / "native.tar"
    pack(native, stand_ins(folder / "tools", controller))
    settings = f"NATIVE={shlex.quote(' '.join(listed('native.txt')))}\nTRIPLET={controller.triplet}\n"
    before = [
        f"--extract-hook=tar-in {shlex.quote(str(native))} /",
        f"--extract-hook={settings}{script('divert.sh')}",
    ]
    return [*before, *ours, f"--customize-hook={settings}{script('undivert.sh')}"]


def script(name: str) -> str:
    """The text of a hook."""
    return (HERE / name).read_text()


def stand_ins(tools: Path, controller: Controller) -> Iterator[tuple[Path, str]]:
    """The programs of native.txt, their loader and their libraries, with the names that they get in the tree."""
    for program in listed("native.txt"):
        yield (tools / "usr/bin" / program).resolve(), f"usr/lib/native/{program}"
    libraries = tools / "usr/lib" / controller.triplet
    yield from files_below(libraries, f"usr/lib/{controller.triplet}/")
    yield tools / controller.loader, controller.loader
    yield tools / "lib64", "lib64"


def make_file_system(stage: Stage) -> None:
    """folder/root.ext4, filled by mke2fs itself: nothing is mounted, and a user need not be root.

    The controller's mke2fs may be older than 1.47.1, the first that reads a tar file.
    """
    disk = stage.folder / "root.ext4"
    with disk.open("wb") as file:
        file.truncate(SIZE_BYTES)
    mke2fs = Controller.this().program(stage.folder / "tools", "usr/sbin/mke2fs")
    options = ["-q", "-F", "-t", "ext4", "-L", "root", "-m", "0", "-U", UUID, "-E", f"hash_seed={UUID},root_owner=0:0"]
    stage.run("file system", [*mke2fs, *options, "-d", str(stage.folder / "root.tar"), str(disk)])
