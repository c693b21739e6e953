"""The steps that make the VM's root, each from files to files in the folder of one build."""

from pathlib import Path

from deploy.debian import ext4, minbase
from deploy.debian.tar_files import files_below
from deploy.debian.tools import Tools, unpack_archive
from deploy.debian.word_lists import read_words
from deploy.debian.workspace import Workspace

HERE = Path(__file__).resolve().parent / "root"
KERNEL = "linux-image-cloud-arm64"
SIZE_BYTES = 4 * 2**30
UUID = "b0a4d11a-0000-4000-8000-000000000001"


def unpack_kernel(workspace: Workspace, controller_tools: Tools) -> None:
    """The kernel as folder/vmlinuz, its modules in folder/kernel.

    Its package is only unpacked: setting it up would make an initrd that nothing uses.
    """
    archive = workspace.folder / "kernel.tar"
    workspace.run_mmdebstrap("kernel", archive, "--variant=extract", "--architectures=arm64", f"--include={KERNEL}")
    tree = workspace.folder / "kernel"
    unpack_archive(workspace, archive, tree, "./boot", "./usr/lib/modules")
    (tree / "lib").symlink_to("usr/lib")
    (image,) = (tree / "boot").glob("vmlinuz-*")
    image.rename(workspace.folder / "vmlinuz")
    depmod = controller_tools.program_command("usr/sbin/depmod")
    workspace.run("module index", [*depmod, "-b", str(tree), image.name.removeprefix("vmlinuz-")])


def install_packages(workspace: Workspace, controller_tools: Tools) -> Path:
    """The tree as folder/root.tar: packages.txt set up, our files and the kernel's modules in it."""
    files = [*files_below(HERE / "files"), *files_below(workspace.folder / "kernel/usr", "usr/")]
    finish = f"--customize-hook={(HERE / 'finish.sh').read_text()}"
    return minbase.install_minbase(workspace, controller_tools, read_words(HERE / "packages.txt"), files, [finish])


def make_file_system(workspace: Workspace, controller_tools: Tools, tree: Path) -> None:
    """folder/root.ext4."""
    ext4.make_ext4(workspace, controller_tools, tree, workspace.folder / "root.ext4", SIZE_BYTES, UUID)
