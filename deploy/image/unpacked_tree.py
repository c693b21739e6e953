"""The root tree while it is a folder: converged by the same deploy as any board, then packed to be searched."""

import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

from deploy.controller.product import pyinfra_words
from deploy.debian.owners import KEPT, as_owner
from deploy.debian.tar_files import files_below, write_tar
from deploy.debian.tools import Tools
from deploy.debian.word_lists import read_words
from deploy.debian.workspace import SOURCE_DATE_EPOCH, Workspace
from deploy.image.boards import BoardProfile
from deploy.paths import REPO

HERE = Path(__file__).resolve().parent
IDENTITY_LAYER = HERE / "identity_files"
LAYERS = (HERE / "common", IDENTITY_LAYER, HERE / "files")
SWEPT = HERE / "swept.txt"
BOOT = "./boot/firmware"
# Seconds. A deploy may build llama.cpp and fetch gigabytes over a slow line, each with deadlines of its own.
DEPLOY_DEADLINE = 6 * 3600.0


def dress_tree(workspace: Workspace, tools: Tools, tree: Path) -> None:
    """Puts the files of every board over Debian's, and takes out what only a first boot may make."""
    put_layers(workspace, tools, tree, LAYERS)
    workspace.run_step("finish", as_owner(["sh", str(HERE / "finish.sh"), str(tree)]))


def put_layers(workspace: Workspace, tools: Tools, tree: Path, layers: Iterable[Path]) -> None:
    """Puts the files of folders into the tree, as root's. Folders that are there keep their owners and modes."""
    layer = workspace.folder / "layer.tar"
    # Each name once: a folder that comes again keeps the 0700 that GNU tar gives to what it is filling.
    members = {name: path for folder in layers for path, name in files_below(folder)}
    write_tar(layer, [(path, name) for name, path in members.items()])
    tar = [
        *tools.program_command("usr/bin/tar"),
        "--extract",
        "--same-owner",
        "--keep-directory-symlink",
        "--no-overwrite-dir",
        *KEPT,
    ]
    workspace.run_step("files", as_owner([*tar, "--file", str(layer), "--directory", str(tree)]))
    layer.unlink()


def converge_tree(workspace: Workspace, board: BoardProfile, tree: Path, model: str) -> None:
    """Runs deploy.py on the tree: everything is installed and enabled, and nothing is started."""
    told = {"BOARDLLAMA_TREE": str(tree), "BOARDLLAMA_BOARD": board.name, "BOARDLLAMA_MODEL": model}
    fleets = ["--group-data", str(fleets_data())] if fleets_data().is_dir() else []
    deploy = pyinfra_words(REPO / "inventory" / "image.py", options=fleets)
    workspace.run_step("deploy", deploy, REPO, told, DEPLOY_DEADLINE)


def fleets_data() -> Path:
    """The group data of the current folder: what they say of the board's kind holds for its image, too."""
    return Path.cwd() / "group_data"


def pack_boot(workspace: Workspace, tools: Tools, tree: Path) -> tuple[list[str], Path]:
    """Writes the boot partition's files to folder/input/boot. Returns their paths, sorted, and a tar file of them."""
    archive = workspace.folder / "boot.tar"
    options = ["--create", "--file", str(archive), "--directory", str(tree), "--sort=name"]
    workspace.run_step("boot partition", as_owner([*tools.program_command("usr/bin/tar"), *options, BOOT]))
    names = []
    with tarfile.open(archive) as tar:
        for member in tar:
            name = member.name.removeprefix(BOOT).lstrip("/")
            if member.isfile():
                copy_out(tar, member.name, workspace.folder / "input/boot" / name)
                names.append(name)
    return names, archive


def pack_tree(workspace: Workspace, tools: Tools, tree: Path) -> Path:
    """Packs the tree as folder/root.tar, without what swept.txt names, sorted, with no time after SOURCE_DATE_EPOCH."""
    patterns = [word for pattern in read_words(SWEPT) for word in ("-o", "-path", pattern)][1:]
    workspace.run_step(
        "sweeping", as_owner(["find", ".", "-xdev", "(", *patterns, ")", "!", "-type", "d", "-delete"]), tree
    )
    archive = workspace.folder / "root.tar"
    options = ["--create", "--format=posix", "--sort=name", *KEPT, f"--mtime=@{SOURCE_DATE_EPOCH}", "--clamp-mtime"]
    options += ["--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime"]
    command = [*tools.program_command("usr/bin/tar"), *options, "--file", str(archive), "--directory", str(tree), "."]
    workspace.run_step("packing", as_owner(command))
    return archive


def copy_out(tar: tarfile.TarFile, name: str, copy: Path) -> int:
    """Writes one file of a tar file to `copy`, with SOURCE_DATE_EPOCH as its time. Returns its size in bytes."""
    source = tar.extractfile(name)
    assert source
    copy.parent.mkdir(parents=True, exist_ok=True)
    with copy.open("wb") as file:
        while piece := source.read(1 << 20):
            file.write(piece)
    os.utime(copy, (SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH))
    return copy.stat().st_size


def content_bytes(tree: Path) -> int:
    """Bytes that a tar file's files take on an ext4 file system: blocks of 4 KiB, and an inode of 256 bytes each."""
    with tarfile.open(tree) as tar:
        return sum(-(-member.size // 4096) * 4096 + (4096 if member.isdir() else 0) + 256 for member in tar)
