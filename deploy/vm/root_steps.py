"""The steps that make the VM's root, each from files to files in the folder of one build."""

import shlex
from pathlib import Path

from deploy.debian import ext4, tools
from deploy.debian.native import with_stand_ins
from deploy.debian.packing import files_below, pack, refuse_foreign_programs, words
from deploy.debian.stage import Stage
from deploy.debian.tools import Tools, unpack

HERE = Path(__file__).resolve().parent / "root"
KERNEL = "linux-image-cloud-arm64"
SIZE_BYTES = 4 * 2**30
UUID = "b0a4d11a-0000-4000-8000-000000000001"


def unpack_kernel(stage: Stage, controller_tools: Tools) -> None:
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
    depmod = controller_tools.program("usr/sbin/depmod")
    stage.run("module index", [*depmod, "-b", str(tree), image.name.removeprefix("vmlinuz-")])


def install_packages(stage: Stage, controller_tools: Tools) -> None:
    """The tree as folder/root.tar: packages.txt set up, our files and the kernel's modules in it, no x86 file left."""
    tree = stage.folder / "root.tar"
    added = stage.folder / "added.tar"
    pack(added, [*files_below(HERE / "files"), *files_below(stage.folder / "kernel/usr", "usr/")])
    # Scripts go in as text and files as tar: other user ids need not read the cache.
    ours = [
        f"--customize-hook=tar-in {shlex.quote(str(added))} /",
        f"--customize-hook={(HERE / 'finish.sh').read_text()}",
    ]
    stage.mmdebstrap(
        "packages",
        tree,
        "--variant=minbase",
        "--architectures=arm64",
        f"--include={','.join(words(HERE / 'packages.txt'))}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in words(tools.HERE / "excluded.txt")),
        *with_stand_ins(stage.folder, controller_tools, ours),
    )
    refuse_foreign_programs(tree)


def make_file_system(stage: Stage, controller_tools: Tools) -> None:
    """folder/root.ext4."""
    tree, disk = stage.folder / "root.tar", stage.folder / "root.ext4"
    ext4.make(stage, controller_tools, tree, disk, SIZE_BYTES, UUID)
