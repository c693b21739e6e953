"""The VM's root file system: Debian stable for arm64, made without loop devices, mounts or an initrd.

A root lies in cache_dir()/roots/<key>, whose key is a hash of all inputs. The kernel has ext4 and NVMe built in, so it
mounts the disk itself: no initrd has to be made under emulation, or unpacked at every boot.
"""

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.controller.files import sha256_of
from deploy.debian import tools
from deploy.debian.tree_cache import MANIFEST, TreeRecipe, ensure_tree
from deploy.debian.workspace import Workspace
from deploy.errors import BoardllamaError
from deploy.onboard.json_parts import parse_json
from deploy.paths import cache_dir
from deploy.vm.root_steps import HERE, KERNEL, SIZE_BYTES, install_packages, make_file_system, unpack_kernel

RECIPE_VERSION = 2


@dataclass(frozen=True)
class VmRoot:
    """A finished root. `identity`: SHA-256 of its files, since two builds of one key can differ by newer packages."""

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
    """All that decides what is in the root, for the key and the manifest. `files`: the folder of the VM's own files."""
    folders = {"debian": tools.HERE, "vm": files}
    paths = [(name, path) for name in folders for path in sorted(folders[name].rglob("*"))]
    found = {
        f"{name}/{path.relative_to(folders[name])}": sha256_of(path)
        for name, path in paths
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    return {
        "recipe": RECIPE_VERSION,
        "suite": tools.SUITE,
        "kernel": KERNEL,
        "size": SIZE_BYTES,
        "files": found,
    }


def vm_root_key(files: Path = HERE) -> str:
    """16 hexadecimal digits over the inputs."""
    return hashlib.sha256(json.dumps(vm_root_inputs(files), sort_keys=True).encode()).hexdigest()[:16]


def make_vm_root(workspace: Workspace) -> dict[str, object]:
    """Makes kernel and disk in the workspace's folder. Returns what the manifest says of them."""
    brought = tools.ensure_tools()
    unpack_kernel(workspace, brought)
    tree = install_packages(workspace, brought)
    make_file_system(workspace, brought, tree)
    return {"identity": sha256_of(tree), **vm_root_inputs()}


VM_ROOT_RECIPE = TreeRecipe("VM's root", 2 * 2**30, ("vmlinuz", "root.ext4"), make_vm_root)


def ensure_vm_root() -> VmRoot:
    """The cached root, made first when it is not there: 2 minutes on 2 cores. Raises BoardllamaError."""
    folder = cache_dir() / "roots" / vm_root_key()
    ensure_tree(folder, VM_ROOT_RECIPE)
    return VmRoot(folder, parse_json((folder / MANIFEST).read_text())["identity"])


if __name__ == "__main__":
    try:
        print(ensure_vm_root().folder)
    except BoardllamaError as error:
        sys.exit(str(error))
