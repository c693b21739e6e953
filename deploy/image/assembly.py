"""make image: root tree, deploy, disk, first boot, signed files; each from a folder that is gone at the end."""

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import signing
from deploy.debian import ext4, tools
from deploy.debian.staging import staging_folder
from deploy.debian.workspace import Workspace
from deploy.files import alone
from deploy.image import bmap, board_machine, board_root, boot_test, disk, leaks, outputs, sbom, unpacked_tree
from deploy.image.boards import BoardProfile, Emulator
from deploy.image.content import check_content
from deploy.image.disk import DiskLayout
from deploy.image.outputs import Outputs
from deploy.onboard import identity
from deploy.onboard.places import CURRENT, RELEASES

STATUS, OS_RELEASE = "./var/lib/dpkg/status", "./usr/lib/os-release"


@dataclass(frozen=True)
class AssembledImage:
    """An assembled image in the work folder. `release`: the manifest of what was deployed into it."""

    disk: Path
    layout: DiskLayout
    blobs: dict[str, int]
    tree: Path
    release: dict[str, Any]


@contextmanager
def image_workspace(dist: Path, board: BoardProfile) -> Iterator[Workspace]:
    """A folder for the work, beside build.log in dist/.work; it is removed whatever happens."""
    work = dist / ".work"
    work.mkdir(parents=True, exist_ok=True)
    with alone(work, "image"):
        (work / "build.log").unlink(missing_ok=True)
        with staging_folder(work, clear_workspace) as folder:
            (folder / "input").mkdir()
            yield Workspace(folder, tools.SUITE, f"image of {board.name}")


def clear_workspace(work: Path) -> None:
    """Removes a folder of work, and ends the machine in it, which the folder alone can name."""
    boot_test.end_boot_machine(work)
    unpacked_tree.remove_as_owner(work)


def assemble_image(workspace: Workspace, board: BoardProfile, model: str, size: int | None) -> AssembledImage:
    """The disk image in the work folder. Raises BoardllamaError when it holds what it must not, or lacks something."""
    controller_tools, debian = tools.ensure_tools(), board_root.ensure_board_root(board)
    with unpacked_tree.unpacked_root(workspace, controller_tools, debian) as tree:
        unpacked_tree.dress_tree(workspace, controller_tools, tree)
        unpacked_tree.converge_tree(workspace, board, tree, model)
        boot_files, boot_tar = unpacked_tree.pack_boot(workspace, controller_tools, tree)
        packed = unpacked_tree.pack_tree(workspace, controller_tools, tree)
    with workspace.doing("search for what is never baked"):
        leaks.refuse_leaks((packed, boot_tar), leaks.Traces.of_this_controller(workspace.folder))
    layout = disk.layout_for(board, unpacked_tree.content_bytes(packed), size)
    release, blobs = copy_inputs(packed, board, workspace.folder / "input")
    identity_text = identity.Identity().render()
    (workspace.folder / "input/identity").mkdir()
    outputs.write_dated(workspace.folder / "input/identity/boardllama.txt", identity_text.encode())
    root_disk = workspace.folder / "input/root.ext4"
    ext4.make_ext4(workspace, controller_tools, packed, root_disk, layout.root_size, disk.ROOT_UUID)
    made = disk.assemble_disk(workspace, controller_tools, layout, boot_files)
    root_disk.unlink()
    check_content(workspace, controller_tools, made, layout, boot_files)
    return AssembledImage(made, layout, blobs, packed, release)


def copy_inputs(packed: Path, board: BoardProfile, into: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Copies boot loaders and what the bill of materials needs; the release's manifest, and the loaders' sizes."""
    with tarfile.open(packed) as tar:
        for name in (STATUS, OS_RELEASE):
            unpacked_tree.copy_out(tar, name, into / "sbom" / name)
        sizes = {
            blob.path: unpacked_tree.copy_out(tar, f"./{blob.path}", into / f"blob{place}")
            for place, blob in enumerate(board.blobs)
        }
        current = Path(tar.getmember(f".{CURRENT}").linkname).name
        release = tar.extractfile(f".{RELEASES}/{current}/manifest.json")
        assert release
        return json.loads(release.read()), sizes


def write_outputs(workspace: Workspace, board: BoardProfile, made: AssembledImage) -> Outputs:
    """Everything but the move to dist/."""
    out = Outputs(workspace.folder / "out", board.name)
    out.folder.mkdir()
    with workspace.doing("map"):
        mapped = bmap.map_image(made.disk)
    with workspace.doing("compressing"):
        outputs.compress_image(made.disk, out.image)
    outputs.write_dated(out.path_of(".bmap"), mapped.render_xml().encode())
    known = workspace.folder / "input/sbom"
    outputs.write_dated(out.path_of(".spdx.json"), sbom.make_sbom(workspace, known, board.name, made.release))
    more = {
        "packages": outputs.installed_packages((known / STATUS).read_text()),
        "pins": made.release["pins"],
        "release": made.release["id"],
    }
    files = [outputs.file_entry(path) for path in out.described_files]
    outputs.write_dated(out.manifest, outputs.render_manifest(board.name, files, made.layout, mapped, made.blobs, more))
    outputs.write_dated(
        out.path_of(".sha256"), outputs.checksum_lines([*files, outputs.file_entry(out.manifest)]).encode()
    )
    signing.sign(out.manifest)
    return out


def make_image(board: BoardProfile, model: str, size: int | None, dist: Path, boots: bool = True) -> Outputs:
    """Makes the image, has its first boot judged, and leaves it in dist/. Raises BoardllamaError."""
    if boots and board.emulator is not Emulator.NONE:
        board_machine.check_boot_programs()
    with image_workspace(dist, board) as workspace:
        made = assemble_image(workspace, board, model, size)
        out = write_outputs(workspace, board, made)
        if boots and board.emulator is not Emulator.NONE:
            boot_test.prove_first_boot(workspace, tools.ensure_tools(), made.disk, made.layout)
        return outputs.publish_outputs(out, dist)
