"""An ext4 file system filled by mke2fs itself: nothing is mounted, and a user need not be root."""

from pathlib import Path

from deploy.debian.stage import Stage
from deploy.debian.tools import Tools


def make(stage: Stage, tools: Tools, tree: Path, disk: Path, size: int, uuid: str) -> None:
    """Writes a sparse file system of `size` bytes with the tar file's files. The same tar file is the same bytes.

    The controller's own mke2fs may be older than 1.47.1, the first that reads a tar file.
    """
    with disk.open("wb") as file:
        file.truncate(size)
    options = ["-q", "-F", "-t", "ext4", "-L", "root", "-m", "0", "-U", uuid, "-E", f"hash_seed={uuid},root_owner=0:0"]
    stage.run("file system", [*tools.program("usr/sbin/mke2fs"), *options, "-d", str(tree), str(disk)])
