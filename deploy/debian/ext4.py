"""An ext4 file system filled by mke2fs itself: nothing is mounted, and a user need not be root.

mke2fs reads a folder and not a tar file. Of a tar file it drops access control lists and all extended attributes but
capabilities, and it refuses a name that is not UTF-8.
"""

from pathlib import Path

from deploy.debian.owners import as_owner
from deploy.debian.tools import Tools
from deploy.debian.workspace import Workspace


def make_ext4(workspace: Workspace, tools: Tools, tree: Path, disk: Path, size: int, uuid: str) -> None:
    """Writes a sparse file system of `size` bytes to `disk`, with the files of the folder `tree`.

    The same files give the same bytes, whatever their order in the folder: mke2fs sorts them. `tools` bring mke2fs,
    because the controller's own may be older than 1.47.1, the first that lets no time be later than SOURCE_DATE_EPOCH.
    Raises BoardllamaError.
    """
    with disk.open("wb") as file:
        file.truncate(size)
    # Without -b and -i a file system below 512 MiB would be one for small disks, and stay so when it has grown.
    options = ["-q", "-F", "-t", "ext4", "-b", "4096", "-i", "16384", "-L", "root", "-m", "0", "-U", uuid]
    options += ["-E", f"hash_seed={uuid},root_owner=0:0"]
    mke2fs = [*tools.program_command("usr/sbin/mke2fs"), *options, "-d", str(tree), str(disk)]
    workspace.run_step("file system", as_owner(mke2fs))
