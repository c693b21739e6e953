"""A root tree to work on: the VM's system, unpacked once."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from deploy.controller.files import folder_lock
from deploy.paths import cache_dir
from deploy.vm import root_tree


def debian_tree() -> Path:
    """A Debian tree for arm64, with systemd, python3 and curl. Never to be changed: copy it."""
    root = root_tree.ensure_vm_root()
    trees = cache_dir() / "test-trees"
    tree = trees / root.identity[:16]
    trees.mkdir(parents=True, exist_ok=True)
    with folder_lock(trees, "tree for tests"):
        if not tree.exists():
            trees.chmod(0o755)
            aside = Path(tempfile.mkdtemp(prefix=".new-", dir=trees))
            subprocess.run(["debugfs", "-R", f"rdump / {aside}", str(root.disk)], check=True, capture_output=True)
            aside.chmod(0o755)
            (aside / "tmp").chmod(0o1777)  # debugfs leaves out the sticky bit
            aside.rename(tree)
    return tree


def copy(tree: Path, place: Path) -> Path:
    """Owners, modes, links and nodes as they are. 250 MB in a second."""
    subprocess.run(["cp", "-a", "--reflink=auto", str(tree), str(place)], check=True)
    return place


def remove(tree: Path) -> None:
    """Now, not when pytest tidies up after three runs."""
    shutil.rmtree(tree, ignore_errors=True)
