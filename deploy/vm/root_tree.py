"""The VM's root file system: Debian stable for arm64, made without loop devices, mounts or an initrd.

Everything is cached in cache_dir()/roots/<key>; the key is the hash of all inputs. The kernel has ext4 and NVMe built
in, so it mounts the disk itself: no initrd has to be made under emulation, or unpacked at every boot.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.debian import tools
from deploy.debian.stage import Stage, check_controller
from deploy.errors import BoardllamaError
from deploy.files import alone, sha256_of
from deploy.paths import cache_dir
from deploy.vm import binfmt
from deploy.vm.root_steps import (
    HERE,
    KERNEL,
    SIZE_BYTES,
    install_packages,
    make_file_system,
    unpack_kernel,
)

RECIPE = 1
FREE_BYTES = 2 * 2**30


@dataclass(frozen=True)
class RootTree:
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

    @staticmethod
    def read(folder: Path) -> "RootTree | None":
        """The finished root in the folder, or None."""
        try:
            manifest = json.loads((folder / "manifest.json").read_text())
        except FileNotFoundError:
            return None
        return RootTree(folder, manifest["identity"])


def inputs(files: Path = HERE) -> dict[str, object]:
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


def key(files: Path = HERE) -> str:
    """16 hexadecimal digits that name the inputs."""
    return hashlib.sha256(json.dumps(inputs(files), sort_keys=True).encode()).hexdigest()[:16]


def ensure() -> RootTree:
    """The cached root, made first when it is not there: 2 minutes on 2 cores. Raises BoardllamaError."""
    roots = cache_dir() / "roots"
    if found := RootTree.read(roots / key()):
        return found
    check_controller()
    binfmt.ensure_arm64_runs()
    roots.mkdir(parents=True, exist_ok=True)
    check_space(roots)
    with alone(roots, "root tree"):
        return RootTree.read(roots / key()) or build(roots)


def check_space(folder: Path) -> None:
    """Raises BoardllamaError before anything is fetched when the disk is too full to hold the result."""
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        raise BoardllamaError(
            f"{folder} has {free >> 20} MiB free and the VM's root needs {FREE_BYTES >> 20} MiB: make room, "
            "or set BOARDLLAMA_CACHE to a folder on a larger disk"
        )


def build(roots: Path) -> RootTree:
    """Makes everything aside, then renames it into place. What an interrupted build left is removed first."""
    for left_over in roots.glob(".new-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    (roots / "build.log").unlink(missing_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".new-", dir=roots))
    aside.chmod(0o755)
    stage = Stage(aside, tools.SUITE)
    controller_tools = tools.ensure()
    unpack_kernel(stage, controller_tools)
    install_packages(stage, controller_tools)
    make_file_system(stage, controller_tools)
    manifest = {"identity": sha256_of(aside / "root.tar"), "seconds": stage.seconds, **inputs()}
    (aside / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    put_in_place(aside, roots / key())
    return RootTree(roots / key(), str(manifest["identity"]))


def put_in_place(aside: Path, folder: Path) -> None:
    """Removes what only the build needed, brings the rest to the disk, and gives it its name in one step."""
    for path in aside.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in ("vmlinuz", "root.ext4", "manifest.json"):
            path.unlink()
    os.sync()
    if folder.exists():
        shutil.rmtree(folder)
    aside.rename(folder)
    os.sync()


if __name__ == "__main__":
    try:
        print(ensure().folder)
    except BoardllamaError as error:
        sys.exit(str(error))
