"""What `make image` does, in order: root tree, deploy, disk, checks, files, first boot; in a folder gone at the end."""

import tarfile
from pathlib import Path
from typing import Any

from deploy.controller.step_times import StepTimes
from deploy.debian.ext4 import make_ext4
from deploy.debian.owners import unpacked_tar
from deploy.debian.tools import ensure_tools
from deploy.debian.workspace import Workspace
from deploy.formats.image_manifest import Extent
from deploy.image import outputs, unpacked_tree
from deploy.image.board_machine import check_boot_programs
from deploy.image.board_root import ensure_board_root
from deploy.image.boards import DebianBoard
from deploy.image.boot_test import prove_first_boot
from deploy.image.content import check_content
from deploy.image.disk import IDENTITY_BYTES, ROOT_UUID, DiskLayout, assemble_disk, layout_for
from deploy.image.finishing import OS_RELEASE, SBOM_INPUT, STATUS, AssembledImage, image_workspace, write_outputs
from deploy.image.leaks import Traces, refuse_leaks
from deploy.image.outputs import Outputs
from deploy.onboard.identity.boardllama_txt import FILE, Identity
from deploy.onboard.json_parts import parse_json
from deploy.onboard.places import PLACES


def assemble_image(
    workspace: Workspace, board: DebianBoard, model: str, size: int | None
) -> tuple[AssembledImage, DiskLayout]:
    """Makes the disk image, and says where everything lies on it.

    `model` and `size` (bytes of the whole disk) are as `make image` was told.

    Raises BoardllamaError when the image holds what no image may, or lacks what its board needs.
    """
    tools = ensure_tools()
    root_disk = workspace.folder / "input/root.ext4"
    with unpacked_tar(workspace, tools, ensure_board_root(board).tar) as tree:
        unpacked_tree.dress_tree(workspace, tools, tree)
        unpacked_tree.converge_tree(workspace, board, tree, model)
        boot_files, boot_tar = unpacked_tree.pack_boot(workspace, tools, tree)
        packed = unpacked_tree.pack_tree(workspace, tools, tree)
        with workspace.doing("search for what is never baked"):
            refuse_leaks((packed, boot_tar), Traces.of_this_controller(workspace.folder))
        layout = layout_for(board, unpacked_tree.content_bytes(packed), size)
        make_ext4(workspace, tools, tree, root_disk, layout.root_size, ROOT_UUID)
    release, blobs = copy_inputs(packed, board, workspace.folder)
    (workspace.folder / "input/identity").mkdir()
    outputs.write_dated(workspace.folder / "input/identity" / FILE, Identity().render().encode())
    disk = assemble_disk(workspace, tools, layout, boot_files)
    root_disk.unlink()
    check_content(workspace, tools, disk, layout, boot_files)
    identity = Extent(offset=layout.identity_offset, size=IDENTITY_BYTES)
    return AssembledImage(disk, board, layout.boot_sectors(blobs), identity, release), layout


def copy_inputs(packed: Path, board: DebianBoard, folder: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Copies the boot loaders, and what the bill of materials is made from, to the workspace's folder.

    Returns the manifest of the release in the tree, and the size in bytes of each boot loader by its path.
    """
    with tarfile.open(packed) as tar:
        for name in (STATUS, OS_RELEASE):
            unpacked_tree.copy_out(tar, name, folder / SBOM_INPUT / name)
        sizes = {
            blob.path: unpacked_tree.copy_out(tar, f"./{blob.path}", folder / f"input/blob{place}")
            for place, blob in enumerate(board.blobs)
        }
        current = Path(tar.getmember(f".{PLACES.current}").linkname).name
        release = tar.extractfile(f".{PLACES.releases}/{current}/manifest.json")
        assert release
        return parse_json(release.read()), sizes


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
    with image_workspace(dist, board.name, times or StepTimes()) as workspace:
        made, layout = assemble_image(workspace, board, model, size)
        out = write_outputs(workspace, made)
        if boots:
            prove_first_boot(workspace, ensure_tools(), made.disk, layout)
        return outputs.publish_outputs(out, dist)
