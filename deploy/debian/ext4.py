"""An ext4 file system filled by mke2fs itself: nothing is mounted, and a user need not be root."""

from pathlib import Path

from deploy.debian.tools import Tools
from deploy.debian.workspace import Workspace


def make_ext4(workspace: Workspace, tools: Tools, tree: Path, disk: Path, size: int, uuid: str) -> None:
    """Writes a sparse file system of `size` bytes to `disk`, with the files of the tar file `tree`.

    The same tar file gives the same bytes. `tools` bring mke2fs, because the controller's own may be older than 1.47.1,
    the first that reads a tar file. Raises BoardllamaError.
    """
    with disk.open("wb") as file:
        file.truncate(size)
    # Without -b and -i a file system below 512 MiB would be one for small disks, and stay so when it has grown.
    options = ["-q", "-F", "-t", "ext4", "-b", "4096", "-i", "16384", "-L", "root", "-m", "0", "-U", uuid]
    options += ["-E", f"hash_seed={uuid},root_owner=0:0"]
    workspace.run_step("file system", [*tools.program_command("usr/sbin/mke2fs"), *options, "-d", str(tree), str(disk)])
