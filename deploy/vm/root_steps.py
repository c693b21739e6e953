"""The steps that make the VM's root, each from files to files in the folder of one build."""

from pathlib import Path

from deploy.debian.ext4 import make_ext4
from deploy.debian.minbase import install_minbase
from deploy.debian.owners import unpacked_tar
from deploy.debian.tar_files import files_below
from deploy.debian.tools import Tools, unpack_archive
from deploy.debian.word_lists import read_words
from deploy.debian.workspace import Workspace

HERE = Path(__file__).resolve().parent / "root"
KERNEL = "linux-image-cloud-arm64"
SIZE_BYTES = 4 * 2**30
UUID = "b0a4d11a-0000-4000-8000-000000000001"


def unpack_kernel(workspace: Workspace, tools: Tools) -> None:
    """Makes folder/vmlinuz, the kernel, and folder/kernel with the kernel's modules.

    The kernel's package is unpacked and not set up, which would make an initrd that nothing uses.
    """
    archive = workspace.folder / "kernel.tar"
    workspace.run_mmdebstrap("kernel", archive, "--variant=extract", "--architectures=arm64", f"--include={KERNEL}")
    tree = workspace.folder / "kernel"
    unpack_archive(workspace, archive, tree, "./boot", "./usr/lib/modules")
    (tree / "lib").symlink_to("usr/lib")
    (image,) = (tree / "boot").glob("vmlinuz-*")
    image.rename(workspace.folder / "vmlinuz")
    depmod = tools.program_command("usr/sbin/depmod")
    workspace.run_step("module index", [*depmod, "-b", str(tree), image.name.removeprefix("vmlinuz-")])


def install_packages(workspace: Workspace, tools: Tools) -> Path:
    """Makes folder/root.tar: the packages of packages.txt set up, with our files and the kernel's modules."""
    files = [*files_below(HERE / "files"), *files_below(workspace.folder / "kernel/usr", "usr/")]
    finish = f"--customize-hook={(HERE / 'finish.sh').read_text()}"
    return install_minbase(workspace, tools, read_words(HERE / "packages.txt"), files, [finish])


def make_file_system(workspace: Workspace, tools: Tools, tree: Path) -> None:
    """Makes folder/root.ext4, the disk, of the tar file `tree`."""
    with unpacked_tar(workspace, tools, tree) as folder:
        make_ext4(workspace, tools, folder, workspace.folder / "root.ext4", SIZE_BYTES, UUID)
