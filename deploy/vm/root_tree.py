"""The VM's root file system: Debian stable for arm64, made without loop devices, mounts or an initrd.

Everything is cached in cache_dir()/roots/<key>; the key is the hash of all inputs. The kernel has ext4 and NVMe built
in, so it mounts the disk itself: no initrd has to be made under emulation, or unpacked at every boot.
"""

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.debian import tools, tree_cache
from deploy.debian.workspace import Workspace
from deploy.errors import BoardllamaError
from deploy.files import sha256_of
from deploy.paths import cache_dir
from deploy.vm.root_steps import (
    HERE,
    KERNEL,
    SIZE_BYTES,
    install_packages,
    make_file_system,
    unpack_kernel,
)

RECIPE = 1


@dataclass(frozen=True)
class VmRoot:
    """A finished root. `identity` is the hash of its bytes: two builds of one key can differ by newer packages."""

    folder: Path
    identity: str

    @property
    def kernel(self) -> Path:
        """An arm64 Image for QEMU's -kernel."""
        return self.folder / "vmlinuz"

    @property
    def disk(self) -> Path:
        """A raw, sparse ext4 file system of SIZE_BYTES without a partition table. Never written to."""
        return self.folder / "root.ext4"


def vm_root_inputs(files: Path = HERE) -> dict[str, object]:
    """All that decides what is in the root, for the key and the manifest."""
    folders = {"debian": tools.HERE, "vm": files}
    paths = [(name, path) for name in folders for path in sorted(folders[name].rglob("*"))]
    found = {
        f"{name}/{path.relative_to(folders[name])}": sha256_of(path)
        for name, path in paths
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    return {
        "recipe": RECIPE,
        "suite": tools.SUITE,
        "kernel": KERNEL,
        "size": SIZE_BYTES,
        "files": found,
    }


def vm_root_key(files: Path = HERE) -> str:
    """16 hexadecimal digits that name the inputs."""
    return hashlib.sha256(json.dumps(vm_root_inputs(files), sort_keys=True).encode()).hexdigest()[:16]


def make_vm_root(workspace: Workspace) -> dict[str, object]:
    """Kernel and file system in the workspace's folder; what the manifest says of them."""
    controller_tools = tools.ensure_tools()
    unpack_kernel(workspace, controller_tools)
    tree = install_packages(workspace, controller_tools)
    make_file_system(workspace, controller_tools, tree)
    return {"identity": sha256_of(tree), **vm_root_inputs()}


HOW = tree_cache.TreeRecipe("VM's root", 2 * 2**30, ("vmlinuz", "root.ext4"), make_vm_root)


def ensure_vm_root() -> VmRoot:
    """The cached root, made first when it is not there: 2 minutes on 2 cores. Raises BoardllamaError."""
    folder = cache_dir() / "roots" / vm_root_key()
    tree_cache.ensure_tree(folder, HOW)
    return VmRoot(folder, json.loads((folder / tree_cache.MANIFEST).read_text())["identity"])


if __name__ == "__main__":
    try:
        print(ensure_vm_root().folder)
    except BoardllamaError as error:
        sys.exit(str(error))
