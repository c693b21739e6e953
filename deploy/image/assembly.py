"""What `make image` does, in order: root tree, deploy, disk, checks, files, first boot; in a folder gone at the end."""

import json
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.controller import signing
from deploy.controller.files import folder_lock
from deploy.controller.step_times import StepTimes
from deploy.debian.ext4 import make_ext4
from deploy.debian.staging import staging_folder
from deploy.debian.tools import SUITE, ensure_tools
from deploy.debian.workspace import Workspace
from deploy.formats.image_manifest import Disk, Extent, ImageFile, ImageManifest, Package
from deploy.formats.spans import total_size
from deploy.image import outputs, unpacked_tree
from deploy.image.board_machine import check_boot_programs
from deploy.image.board_root import ensure_board_root
from deploy.image.boards import DebianBoard
from deploy.image.boot_test import end_boot_machine, prove_first_boot
from deploy.image.content import check_content
from deploy.image.disk import IDENTITY_BYTES, ROOT_UUID, DiskLayout, assemble_disk, layout_for
from deploy.image.disk_map import map_disk
from deploy.image.leaks import Traces, refuse_leaks
from deploy.image.outputs import Outputs
from deploy.image.sbom import CREATED, make_sbom
from deploy.onboard.identity.boardllama_txt import FILE, Identity
from deploy.onboard.places import PLACES

STATUS, OS_RELEASE = "./var/lib/dpkg/status", "./usr/lib/os-release"


@dataclass(frozen=True)
class AssembledImage:
    """A finished disk image in the workspace.

    `blobs`: the size in bytes of each boot loader, by its path in the tree. `release`: the deployed release's manifest.
    """

    disk: Path
    layout: DiskLayout
    blobs: dict[str, int]
    release: dict[str, Any]


@contextmanager
def image_workspace(dist: Path, board: DebianBoard, times: StepTimes | None = None) -> Iterator[Workspace]:
    """A workspace beside build.log in dist/.work, which is removed whatever happens. One run at a time has it."""
    work = dist / ".work"
    work.mkdir(parents=True, exist_ok=True)
    with folder_lock(work, "image"):
        (work / "build.log").unlink(missing_ok=True)
        with staging_folder(work, clear_workspace) as folder:
            (folder / "input").mkdir()
            yield Workspace(folder, SUITE, f"image of {board.name}", times or StepTimes())


def clear_workspace(folder: Path) -> None:
    """Ends the machine whose files are in the folder, which nothing else knows of, then removes the folder."""
    end_boot_machine(folder)
    unpacked_tree.remove_as_owner(folder)


def assemble_image(workspace: Workspace, board: DebianBoard, model: str, size: int | None) -> AssembledImage:
    """Makes the disk image. `model` and `size` (bytes of the whole disk) as `make image` was told.

    Raises BoardllamaError when the image holds what no image may, or lacks what its board needs.
    """
    tools = ensure_tools()
    with unpacked_tree.unpacked_root(workspace, tools, ensure_board_root(board)) as tree:
        unpacked_tree.dress_tree(workspace, tools, tree)
        unpacked_tree.converge_tree(workspace, board, tree, model)
        boot_files, boot_tar = unpacked_tree.pack_boot(workspace, tools, tree)
        packed = unpacked_tree.pack_tree(workspace, tools, tree)
    with workspace.doing("search for what is never baked"):
        refuse_leaks((packed, boot_tar), Traces.of_this_controller(workspace.folder))
    layout = layout_for(board, unpacked_tree.content_bytes(packed), size)
    release, blobs = copy_inputs(packed, board, workspace.folder / "input")
    (workspace.folder / "input/identity").mkdir()
    outputs.write_dated(workspace.folder / "input/identity" / FILE, Identity().render().encode())
    root_disk = workspace.folder / "input/root.ext4"
    make_ext4(workspace, tools, packed, root_disk, layout.root_size, ROOT_UUID)
    disk = assemble_disk(workspace, tools, layout, boot_files)
    root_disk.unlink()
    check_content(workspace, tools, disk, layout, boot_files)
    return AssembledImage(disk, layout, blobs, release)


def copy_inputs(packed: Path, board: DebianBoard, into: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Copies the boot loaders, and what the bill of materials is made from, out of the packed tree.

    Returns the manifest of the release in the tree, and the size in bytes of each boot loader by its path.
    """
    with tarfile.open(packed) as tar:
        for name in (STATUS, OS_RELEASE):
            unpacked_tree.copy_out(tar, name, into / "sbom" / name)
        sizes = {
            blob.path: unpacked_tree.copy_out(tar, f"./{blob.path}", into / f"blob{place}")
            for place, blob in enumerate(board.blobs)
        }
        current = Path(tar.getmember(f".{PLACES.current}").linkname).name
        release = tar.extractfile(f".{PLACES.releases}/{current}/manifest.json")
        assert release
        return json.loads(release.read()), sizes


def write_outputs(workspace: Workspace, board: DebianBoard, made: AssembledImage) -> Outputs:
    """Writes and signs every file that goes to dist/, in the workspace's folder `out`."""
    out = Outputs(workspace.folder / "out", board.short_name)
    out.folder.mkdir()
    with workspace.doing("map"):
        blocks, sha256 = map_disk(made.disk)
    with workspace.doing("compressing"):
        outputs.compress_image(made.disk, out.image)
    outputs.write_dated(out.path_of(".bmap"), blocks.render())
    known = workspace.folder / "input/sbom"
    outputs.write_dated(out.path_of(".spdx.json"), make_sbom(workspace, known, board.short_name, made.release))
    files = [outputs.file_entry(path) for path in out.described_files]
    disk = Disk(size=blocks.size, sha256=sha256, mapped=total_size(blocks.mapped_spans))
    packages = outputs.installed_packages((known / STATUS).read_text())
    outputs.write_dated(out.manifest, image_manifest(made, files, disk, packages).render())
    sums = outputs.checksum_lines([*files, outputs.file_entry(out.manifest)])
    outputs.write_dated(out.path_of(".sha256"), sums.encode())
    signing.sign_file(out.manifest)
    return out


def image_manifest(
    made: AssembledImage, files: Sequence[ImageFile], disk: Disk, packages: tuple[Package, ...]
) -> ImageManifest:
    """The manifest of the image. `files`: image, block map and bill of materials."""
    image, bmap, sbom = files
    return ImageManifest(
        board=made.layout.board.short_name,
        release=made.release["id"],
        created=CREATED,
        image=image,
        bmap=bmap,
        sbom=sbom,
        disk=disk,
        boot_sectors=made.layout.boot_sectors(made.blobs),
        identity=Extent(offset=made.layout.identity_offset, size=IDENTITY_BYTES),
        packages=packages,
        pins=made.release["pins"],
    )


def make_image(
    board: DebianBoard,
    model: str,
    size: int | None,
    dist: Path,
    boots: bool = True,
    times: StepTimes | None = None,
) -> Outputs:
    """Makes the image, has its first boot judged, and leaves its files in dist/. Raises BoardllamaError.

    `boots`: whether the image is booted, where QEMU has a machine for its board. `times`: of its steps.
    """
    boots = boots and board.has_emulator
    if boots:
        check_boot_programs()
    with image_workspace(dist, board, times) as workspace:
        made = assemble_image(workspace, board, model, size)
        out = write_outputs(workspace, board, made)
        if boots:
            prove_first_boot(workspace, ensure_tools(), made.disk, made.layout)
        return outputs.publish_outputs(out, dist)
