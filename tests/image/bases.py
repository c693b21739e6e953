"""Vendors' images to try BASE= on: likenesses, made from Debian's packages without root, and no vendor's files.

Each has its vendor's partitions, first boot and network stack, and a kernel and initrd of its own, with which its root
starts in QEMU's `virt`. All come from one tree of packages, of which each likeness loses what its vendor does not have.
"""

import hashlib
import json
import os
import shlex
import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deploy.controller.files import sha256_of
from deploy.debian import tools
from deploy.debian.minbase import install_minbase
from deploy.debian.owners import as_owner, unpacked_tar
from deploy.debian.tar_files import files_below, write_tar
from deploy.debian.tree_cache import TreeRecipe, ensure_tree
from deploy.debian.word_lists import read_words
from deploy.debian.workspace import Workspace
from deploy.image.board_root import BoardRoot, script_text
from deploy.image.tree.sandbox import Sandbox
from deploy.paths import cache_dir

HERE = Path(__file__).resolve().parent / "likenesses"
MIB = 2**20
ROOT_BYTES = 1500 * MIB
IMAGE = "base.img"


@dataclass(frozen=True)
class Likeness:
    """`lacks`: packages of the shared tree that the vendor's system does not have. `table`: sfdisk's script.

    `root_at`, `fat_at`: offsets of partitions in bytes. `fat`: the folder of the tree on which the FAT is mounted, and
    whose files lie there; "" without a FAT. `features`: of ext4, for mke2fs. `loader_at`: offset of a loader outside of
    any partition, in bytes.
    """

    name: str
    lacks: tuple[str, ...]
    table: str
    root_at: int
    root_label: str
    root_uuid: str
    features: str = ""
    fat: str = ""
    fat_at: int = 0
    fat_bytes: int = 0
    fat_label: str = ""
    loader_at: int = 0


RASPIOS = Likeness(
    # Raspberry Pi OS: MBR, a FAT at 8 MiB, everything found by the MBR's id, which the first boot changes; the first
    # boot waits for an account to be named; SSH is off; NetworkManager.
    name="raspios_like",
    lacks=("cloud-init", "netplan.io", "netplan-generator", "systemd-resolved"),
    table="label: dos\nlabel-id: 0x5a1b2c3d\nstart=16384,size=524288,type=c\nstart=540672,size=3072000,type=83\n",
    root_at=264 * MIB,
    root_label="rootfs",
    root_uuid="11111111-2222-4333-8444-000000000001",
    features="^64bit,^huge_file",
    fat="boot/firmware",
    fat_at=8 * MIB,
    fat_bytes=256 * MIB,
    fat_label="bootfs",
)
UBUNTU = Likeness(
    # Ubuntu's cloud image: GPT, where the ESP is partition 15 and lies before partition 1, the root; cloud-init makes
    # account, host keys and network; netplan with systemd-networkd.
    name="ubuntu_like",
    lacks=("network-manager",),
    table=(
        "label: gpt\nlabel-id: 5A1B2C3D-0000-4000-8000-000000000002\nfirst-lba: 2048\n"
        "1: start=264192,size=3072000,type=B921B045-1DF0-41C3-AF44-4C6F280D3FAE,"
        "uuid=5A1B2C3D-0000-4000-8000-000000000021\n"
        "15: start=2048,size=262144,type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B,"
        "uuid=5A1B2C3D-0000-4000-8000-00000000002F\n"
    ),
    root_at=129 * MIB,
    root_label="cloudimg-rootfs",
    root_uuid="11111111-2222-4333-8444-000000000002",
    fat="boot/efi",
    fat_at=MIB,
    fat_bytes=128 * MIB,
    fat_label="UEFI",
)
ARMBIAN = Likeness(
    # Armbian for RK3588: a loader from sector 64 on, one ext4 and no FAT; the first boot makes the host keys anew; the
    # first login asks for passwords. systemd-networkd, as Armbian without netplan has it.
    name="armbian_like",
    lacks=("cloud-init", "netplan.io", "netplan-generator", "network-manager"),
    table=(
        "label: gpt\nlabel-id: 5A1B2C3D-0000-4000-8000-000000000003\nfirst-lba: 32768\n"
        "start=32768,size=3072000,type=0FC63DAF-8483-4772-8E79-3D69D8477DE4,"
        "uuid=5A1B2C3D-0000-4000-8000-000000000031,name=rootfs\n"
    ),
    root_at=16 * MIB,
    root_label="armbi_root",
    root_uuid="11111111-2222-4333-8444-000000000003",
    loader_at=64 * 512,
)
LIKENESSES = {likeness.name: likeness for likeness in (RASPIOS, UBUNTU, ARMBIAN)}


def raspios_like() -> Path:
    """A likeness of Raspberry Pi OS Lite, made from Debian's packages: see RASPIOS."""
    return ensure_base(RASPIOS)


def ubuntu_like() -> Path:
    """A likeness of Ubuntu Server, made from Debian's packages: see UBUNTU."""
    return ensure_base(UBUNTU)


def armbian_like() -> Path:
    """A likeness of Armbian, made from Debian's packages: see ARMBIAN."""
    return ensure_base(ARMBIAN)


def ensure_base(likeness: Likeness) -> Path:
    """The cached disk image, made first when it is not there. Never to be changed: copy it. Raises BoardllamaError."""
    own = [repr(likeness), sha256_of(HERE / "shared.sh"), sha256_of(Path(__file__)), files_in(HERE / likeness.name)]
    folder = cache_dir() / "test-bases" / f"{likeness.name}-{key_of(shared_inputs(), own)}"
    ensure_tree(folder, TreeRecipe(likeness.name, 3 * 2**30, (IMAGE,), partial(make_base, likeness=likeness)))
    return folder / IMAGE


def ensure_shared_root() -> BoardRoot:
    """The cached tree of all packages: 3 minutes on 2 quiet cores. Raises BoardllamaError."""
    found = BoardRoot(cache_dir() / "test-base-roots" / key_of(shared_inputs()))
    ensure_tree(found.folder, TreeRecipe("root of the test bases", 3 * 2**30, (found.tar.name,), make_shared_root))
    return found


def key_of(*inputs: object) -> str:
    """16 hexadecimal digits over the inputs."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]


def shared_inputs() -> object:
    """All that decides what is in the shared tree."""
    lists = {path.name: sha256_of(path) for path in tools.HERE.iterdir() if path.suffix in (".txt", ".sh")}
    ours = [sha256_of(HERE / "packages.txt"), files_in(HERE / "shared")]
    return [tools.SUITE, os.environ.get("BOARDLLAMA_MIRROR", ""), lists, ours]


def files_in(folder: Path) -> dict[str, str]:
    """The hash of each file below the folder, and where each link leads to."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def make_shared_root(workspace: Workspace) -> dict[str, object]:
    """Makes folder/root.tar: the packages set up, with kernel and initrd in /boot."""
    hooks = [
        f"--extract-hook={script_text('hold-initrd.sh')}",
        f"--customize-hook={script_text('boot.sh')}",
    ]
    files = files_below(HERE / "shared")
    install_minbase(workspace, tools.ensure_tools(), read_words(HERE / "packages.txt"), files, hooks)
    return {}


def make_base(workspace: Workspace, likeness: Likeness) -> dict[str, object]:
    """Makes folder/base.img: the shared tree without what the vendor lacks, with the files of the likeness in it."""
    brought, root_disk = tools.ensure_tools(), workspace.folder / "root.ext4"
    with unpacked_tar(workspace, brought, ensure_shared_root().tar) as tree:
        put_files(workspace, brought, tree, HERE / likeness.name)
        become_vendor(workspace, tree, likeness)
        put_device_trees(workspace, tree, likeness)
        image = start_disk(workspace, brought, likeness)
        if likeness.fat:
            make_fat(workspace, brought, tree, likeness)
            put_piece(workspace, workspace.folder / "fat", image, likeness.fat_at)
        make_root(workspace, brought, tree, likeness, root_disk)
    put_piece(workspace, root_disk, image, likeness.root_at)
    return {"bytes": image.stat().st_size}


def put_files(workspace: Workspace, brought: tools.Tools, tree: Path, files: Path) -> None:
    """Puts the files of a folder into the tree, as root's."""
    layer = workspace.folder / "layer.tar"
    write_tar(layer, [(path, name) for path, name in files_below(files) if path.parent != files or path.is_dir()])
    tar = [*brought.program_command("usr/bin/tar"), "--extract", "--same-owner", "--keep-directory-symlink"]
    options = ["--no-overwrite-dir", "--file", str(layer), "--directory", str(tree)]
    workspace.run_step("files", as_owner([*tar, *options]))


def become_vendor(workspace: Workspace, tree: Path, likeness: Likeness) -> None:
    """Removes what the vendor does not have, then runs the script of the likeness; both in the tree."""
    sandbox = Sandbox(tree, as_root=os.geteuid() == 0)
    purge = sandbox.command("dpkg", "--purge", "--force-depends", *likeness.lacks)
    workspace.run_step("purging", purge)
    script = "".join((HERE / name).read_text() for name in ("shared.sh", f"{likeness.name}/vendor.sh"))
    workspace.run_step("vendor", sandbox.command("sh", "-c", script))


def put_device_trees(workspace: Workspace, tree: Path, likeness: Likeness) -> None:
    """Puts a device tree for each line of device_trees.txt into the tree: the file, the model, compatible names."""
    made = workspace.folder / "device-trees"
    for line in (HERE / likeness.name / "device_trees.txt").read_text().splitlines():
        path, model, *compatible = line.split("|")
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_bytes(device_tree(model, *compatible))
    put_files(workspace, tools.ensure_tools(), tree, made)


def device_tree(model: str, *compatible: str) -> bytes:
    """A flattened device tree, version 17 of the Devicetree Specification, whose root node has these two properties."""
    strings = b"model\0compatible\0"
    values = ((0, f"{model}\0".encode()), (6, "".join(f"{name}\0" for name in compatible).encode()))
    begin, prop, end_node, end = 1, 3, 2, 9
    body = struct.pack(">II", begin, 0)
    for name_at, value in values:
        body += struct.pack(">III", prop, len(value), name_at) + value + bytes(-len(value) % 4)
    body += struct.pack(">II", end_node, end)
    reserved_at, body_at = 40, 56
    strings_at = body_at + len(body)
    total = strings_at + len(strings)
    places = (total, body_at, strings_at, reserved_at)
    return struct.pack(">10I", 0xD00DFEED, *places, 17, 16, 0, len(strings), len(body)) + bytes(16) + body + strings


def start_disk(workspace: Workspace, brought: tools.Tools, likeness: Likeness) -> Path:
    """Makes folder/base.img: the partition table, and the loader where there is one."""
    image, script = workspace.folder / IMAGE, workspace.folder / "table"
    with image.open("wb") as file:
        file.truncate(likeness.root_at + ROOT_BYTES + MIB)
        if likeness.loader_at:
            file.seek(likeness.loader_at)
            file.write(b"RKNS" + hashlib.shake_256(b"a loader's bytes").digest(512 << 10))
    script.write_text(likeness.table)
    sfdisk = shlex.join([*brought.program_command("usr/sbin/sfdisk"), "-q", str(image)])
    workspace.run_step("table", ["sh", "-c", f"{sfdisk} < {shlex.quote(str(script))}"])
    return image


def make_fat(workspace: Workspace, brought: tools.Tools, tree: Path, likeness: Likeness) -> None:
    """Makes folder/fat, and moves the files of the tree's folder to it."""
    fat, files = workspace.folder / "fat", tree / likeness.fat
    with fat.open("wb") as file:
        file.truncate(likeness.fat_bytes)
    mkfs = [
        *brought.program_command("usr/sbin/mkfs.fat"),
        "--invariant",
        "-F",
        "32",
        "-s",
        "2",  # with more, Ubuntu's ESP would have too few clusters for FAT32, and mtools could not read it
        "-n",
        likeness.fat_label,
    ]
    workspace.run_step("FAT", [*mkfs, "-i", "B0A4D113", str(fat)])
    names = [str(path) for path in sorted(files.iterdir())]
    mcopy = [*brought.program_command("usr/bin/mcopy"), "-s", "-p", "-i", str(fat), *names, "::"]
    workspace.run_step("files of the FAT", as_owner(mcopy))
    workspace.run_step("empty folder", as_owner(["rm", "-rf", *names]))


def make_root(workspace: Workspace, brought: tools.Tools, tree: Path, likeness: Likeness, disk: Path) -> None:
    """Makes the root file system of the tree's files, with the vendor's label, id and features."""
    with disk.open("wb") as file:
        file.truncate(ROOT_BYTES)
    options = ["-q", "-F", "-t", "ext4", "-L", likeness.root_label, "-U", likeness.root_uuid, "-d", str(tree)]
    options += ["-O", likeness.features] if likeness.features else []
    options += ["-E", f"hash_seed={likeness.root_uuid},root_owner=0:0"]
    mke2fs = [*brought.program_command("usr/sbin/mke2fs"), *options, str(disk)]
    workspace.run_step("root file system", as_owner(mke2fs))


def put_piece(workspace: Workspace, piece: Path, image: Path, offset: int) -> None:
    """Copies a file to its offset in the image, holes as holes; then removes the file."""
    where = [f"of={image}", "bs=1M", f"seek={offset // MIB}", "conv=notrunc,sparse", "status=none"]
    workspace.run_step(f"{piece.name} into the image", ["dd", f"if={piece}", *where])
    piece.unlink()


if __name__ == "__main__":
    for made in LIKENESSES.values():
        print(ensure_base(made))
