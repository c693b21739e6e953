"""What `make image BASE=` does, in order: unpack, look, grow, converge, judge, fit, prove; on a copy of the base."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deploy.controller.progress import Progress
from deploy.controller.step_times import StepTimes
from deploy.debian.tools import ensure_tools
from deploy.debian.workspace import Workspace
from deploy.errors import BoardllamaError
from deploy.formats.image_manifest import BaseOrigin
from deploy.image import outputs
from deploy.image.base.additions import date_additions, keep_configuration, refuse_baked, sweep_additions
from deploy.image.base.base_file import BaseFile, unpack_base
from deploy.image.base.boot_area import check_boot_area, late_sectors, read_boot_area
from deploy.image.base.identity_place import fat_extent, find_identity_fat, put_identity_files, slot_extent
from deploy.image.base.moving import move_tail
from deploy.image.base.partitions import BaseDisk, read_disk, resize_root
from deploy.image.base.root_file_system import RootFileSystem
from deploy.image.base.superblock import check_features, read_superblock
from deploy.image.base.tree_state import Changes, TreeState, compare_states, hash_ours, read_state, rewritten_files
from deploy.image.base.vendor_system import STATUS, VendorSystem, inside, read_vendor_system
from deploy.image.boards import MIB, BoardProfile
from deploy.image.disk import SPARE_BYTES, round_up
from deploy.image.finishing import SBOM_INPUT, AssembledImage, image_workspace, write_outputs
from deploy.image.leaks import Traces
from deploy.image.outputs import Outputs
from deploy.image.sbom import SystemName
from deploy.image.unpacked_tree import converge_tree
from deploy.onboard.json_parts import parse_json
from deploy.onboard.places import PLACES

HERE = Path(__file__).resolve().parent
# What a release takes beyond its model: llama.cpp, and what is copied aside while it is put in place.
RELEASE_BYTES = 512 * MIB
BACKUP_BYTES = MIB  # behind the last partition of a GPT, for its second copy

ChooseBoard = Callable[[VendorSystem], BoardProfile]


@dataclass(frozen=True)
class OpenedBase:
    """A copy of a base, looked at and not changed yet. `size`: bytes of its root file system. `before`: its files.

    `ours`: the sha256 of those that an earlier run has made, by path.
    """

    name: str
    sha256: str
    disk: BaseDisk
    root: RootFileSystem
    size: int
    system: VendorSystem
    before: TreeState
    ours: dict[str, str]


def make_base_image(
    base: BaseFile, choose: ChooseBoard, model: str, size: int | None, dist: Path, times: StepTimes
) -> Outputs:
    """Makes an appliance of a vendor's image, and leaves its files in dist/. Raises BoardllamaError.

    `choose` says for which board, when the base has been looked at. `size`: bytes of the whole disk; None: as small as
    it can be. `times`: of the steps. The process must have a mount namespace of its own.
    """
    with image_workspace(dist, base.path.name, times) as workspace:
        opened = open_base(workspace, base)
        made = edit_base(workspace, opened, choose(opened.system), model, size)
        return outputs.publish_outputs(write_outputs(workspace, made), dist)


def open_base(workspace: Workspace, base: BaseFile) -> OpenedBase:
    """Unpacks the base and looks at it. Raises BoardllamaError for a base that cannot be made an appliance."""
    copy, name = workspace.folder / "disk.img", base.path.name
    progress = Progress(workspace.what)
    sha256 = unpack_base(base, copy, progress)
    workspace.times.add("unpacking", progress.seconds)
    disk = read_disk(copy, name)
    check_features(read_superblock(copy, disk.root.start), name)
    root = take_out_root(workspace, disk)
    try:
        root.mend("check of the base")
    except BoardllamaError as error:
        raise BoardllamaError(f"{name} is damaged: {error}; get it again from its vendor") from None
    with workspace.doing("looking at the base"):
        before = read_state(root.ask_debugfs)
        with root.opened() as tree:
            system, ours = read_vendor_system(tree, before, disk, name), hash_ours(tree, before)
    return OpenedBase(name, sha256, disk, root, root.superblock.size, system, before, ours)


def take_out_root(workspace: Workspace, disk: BaseDisk) -> RootFileSystem:
    """Moves the root, and what lies behind it, to a file of its own; the disk ends where the root began."""
    file = workspace.folder / "root.ext4"
    move_tail(disk.path, disk.root.start, file, 0)
    return RootFileSystem(workspace, ensure_tools(HERE / "tools.txt"), file)


def put_back_root(root: RootFileSystem, disk: BaseDisk, size: int) -> None:
    """Moves the root back behind what lies before it, and writes its `size` into the table. Raises BoardllamaError."""
    behind = disk.size - disk.root.end if size == disk.root.size else BACKUP_BYTES if disk.label == "gpt" else 0
    os.truncate(root.disk, size)
    move_tail(root.disk, 0, disk.path, disk.root.start)
    os.truncate(disk.path, disk.root.start + size + behind)
    resize_root(disk, size)
    replace(root, disk=disk.path, start=disk.root.start).check_clean()


def edit_base(
    workspace: Workspace, base: OpenedBase, board: BoardProfile, model: str, size: int | None
) -> AssembledImage:
    """Converges the root of the base, and makes it fit the disk. Raises BoardllamaError."""
    area, wanted = read_boot_area(base.disk), wanted_root(base.disk, size)
    grow_root(base, board.memory + RELEASE_BYTES)
    with base.root.opened() as tree:
        fat = find_identity_fat(base.disk, tree)
        kept = keep_configuration(tree, base.before)
        put_identity_files(tree, fat)
        converge_tree(workspace, board, tree, model)
    after = read_state(base.root.ask_debugfs)
    with base.root.opened() as tree:
        changes = judge_changes(workspace, base, tree, after, kept)
        release = keep_descriptions(workspace, tree)
    fit_root(base, wanted)
    made = read_disk(base.disk.path, base.name)
    check_boot_area(area, read_boot_area(made))
    told = base.system.os_release
    return AssembledImage(
        disk=base.disk.path,
        board=board,
        boot_sectors=late_sectors(made),
        identity=fat_extent(fat),
        identity_slot=slot_extent(made, fat),
        release=release,
        system=SystemName(told.get("ID", "debian"), told.get("VERSION_ID", "0")),
        origin=origin_of(base, changes),
    )


def wanted_root(disk: BaseDisk, size: int | None) -> int | None:
    """Bytes of the root on a disk of `size` bytes. Raises BoardllamaError when the base itself is larger."""
    if size is None:
        return None
    if size < disk.size:
        raise BoardllamaError(
            f"SIZE is {size >> 20} MiB and the base has {-(-disk.size // MIB)} MiB: leave SIZE out (the root grows at "
            "the first boot where its vendor has it so), or give more"
        )
    return (size - disk.root.start - (BACKUP_BYTES if disk.label == "gpt" else 0)) // MIB * MIB


def grow_root(base: OpenedBase, room: int) -> None:
    """Makes the root large enough for `room` more bytes than it holds; what is not written takes no space here."""
    wanted = round_up(base.root.superblock.used + room)
    if wanted > base.root.superblock.size:
        base.root.resize(wanted)


def judge_changes(
    workspace: Workspace, base: OpenedBase, tree: Path, after: TreeState, kept: dict[str, bytes]
) -> Changes:
    """What the deploy has done to the tree, of which is swept what no image holds. `kept`: see `keep_configuration`.

    Raises BoardllamaError for what is never baked.
    """
    changes = sweep_additions(tree, compare_states(base.before, after, rewritten_files(tree, base.ours)))
    date_additions(tree, changes)
    with workspace.doing("search for what is never baked"):
        refuse_baked(tree, changes, kept, Traces.of_this_controller(workspace.folder))
    return changes


def keep_descriptions(workspace: Workspace, tree: Path) -> dict[str, Any]:
    """Copies what the bill of materials is made from. Returns the manifest of the release."""
    known = workspace.folder / SBOM_INPUT
    for name in (STATUS, "usr/lib/os-release"):
        (known / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(inside(tree, name), known / name)
    manifest = inside(tree, str(PLACES.current)) / "manifest.json"
    return dict(parse_json(manifest.read_text()))


def fit_root(base: OpenedBase, wanted: int | None) -> None:
    """Gives the root its final size, clears what nothing uses, and writes the size into the table.

    `wanted`: bytes; None: as small as it can be, and not smaller than the vendor's. Raises BoardllamaError.
    """
    root, disk = base.root, base.disk
    # Folders are packed, because they still hold the names of temporary files, which are random.
    root.mend("check before the root gets its size", "-D")
    final = final_root(base, wanted)
    # Where the vendor's partition stays as it is, the file system in it does, even if it had been smaller.
    size = base.size if final == disk.root.size else final
    if size != root.superblock.size:
        root.resize(size)
    # What a deploy had written and removed again is no part of the image, nor what the vendor had removed.
    root.mend("clearing what nothing uses", "-E", "discard")
    put_back_root(root, disk, final)


def final_root(base: OpenedBase, wanted: int | None) -> int:
    """Bytes of the root's partition. Raises BoardllamaError where fewer are wanted than it needs."""
    used = base.root.superblock.used
    least = max(base.disk.root.size, round_up(max(used + used // 16 + SPARE_BYTES, base.root.least_size)))
    if wanted is not None and wanted < least:
        raise BoardllamaError(
            f"SIZE leaves {wanted >> 20} MiB to the root and it needs {least >> 20} MiB: leave SIZE out, or give more"
        )
    return least if wanted is None else wanted


def origin_of(base: OpenedBase, changes: Changes) -> BaseOrigin:
    """What the manifest says of the base."""
    return BaseOrigin(
        name=base.name,
        sha256=base.sha256,
        system=base.system.title,
        added=tuple(map(printable, changes.added)),
        changed=tuple(map(printable, changes.changed)),
        removed=tuple(map(printable, changes.removed)),
    )


def printable(name: str) -> str:
    """A path with \\xNN for each byte that is not UTF-8."""
    return os.fsencode(name).decode(errors="backslashreplace")
