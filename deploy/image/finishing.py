"""What every way to an image has in common: the folder in which it is made, and the files that are written for it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.controller import signing
from deploy.controller.files import folder_lock
from deploy.controller.step_times import StepTimes
from deploy.debian.owners import remove_as_owner
from deploy.debian.staging import staging_folder
from deploy.debian.tools import SUITE
from deploy.debian.workspace import Workspace
from deploy.formats.image_manifest import BaseOrigin, Disk, Extent, ImageFile, ImageManifest, Package
from deploy.formats.spans import total_size
from deploy.image import outputs
from deploy.image.boards import BoardProfile
from deploy.image.boot_test import end_boot_machine
from deploy.image.disk_map import map_disk
from deploy.image.outputs import Outputs
from deploy.image.sbom import CREATED, SystemName, make_sbom

STATUS, OS_RELEASE = "./var/lib/dpkg/status", "./usr/lib/os-release"
SBOM_INPUT = "input/sbom"  # in the workspace, a folder with the two of the system in the image


@dataclass(frozen=True)
class AssembledImage:
    """A finished disk image in the workspace, whose folder SBOM_INPUT holds what its bill of materials is made from.

    `boot_sectors`: pairs of offset and length in bytes of what makes a card boot. `identity`: the FAT partition of
    boardllama.txt; `identity_slot`: the bytes of that file, where it lies on no FAT. `release`: the deployed release's
    manifest. `origin`: the vendor's image, with what was done to it.
    """

    disk: Path
    board: BoardProfile
    boot_sectors: tuple[tuple[int, int], ...]
    identity: Extent | None
    release: dict[str, Any]
    identity_slot: Extent | None = None
    system: SystemName = field(default_factory=SystemName)
    origin: BaseOrigin | None = None


@contextmanager
def image_workspace(dist: Path, what: str, times: StepTimes) -> Iterator[Workspace]:
    """A workspace beside build.log in dist/.work, which is removed whatever happens. One run at a time has it."""
    work = dist / ".work"
    work.mkdir(parents=True, exist_ok=True)
    with folder_lock(work, "image"):
        (work / "build.log").unlink(missing_ok=True)
        with staging_folder(work, clear_workspace) as folder:
            (folder / "input").mkdir()
            yield Workspace(folder, SUITE, f"image of {what}", times)


def clear_workspace(folder: Path) -> None:
    """Ends the machine whose files are in the folder, which nothing else knows of, then removes the folder."""
    end_boot_machine(folder)
    remove_as_owner(folder)


def write_outputs(workspace: Workspace, made: AssembledImage) -> Outputs:
    """Writes and signs every file that goes to dist/, in the workspace's folder `out`."""
    out = Outputs(workspace.folder / "out", made.board.short_name)
    out.folder.mkdir()
    with workspace.doing("map"):
        blocks, sha256 = map_disk(made.disk)
    mapped = total_size(blocks.mapped_spans)
    with workspace.doing("compressing"):
        outputs.compress_image(made.disk, out.image, mapped)
    outputs.write_dated(out.path_of(".bmap"), blocks.render())
    known = workspace.folder / SBOM_INPUT
    sbom = make_sbom(workspace, known, made.board.short_name, made.release, made.system)
    outputs.write_dated(out.path_of(".spdx.json"), sbom)
    files = [outputs.file_entry(path) for path in out.described_files]
    disk = Disk(size=blocks.size, sha256=sha256, mapped=mapped)
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
        board=made.board.short_name,
        release=made.release["id"],
        created=CREATED,
        image=image,
        bmap=bmap,
        sbom=sbom,
        disk=disk,
        boot_sectors=made.boot_sectors,
        identity=made.identity,
        identity_slot=made.identity_slot,
        base=made.origin,
        starts_from=made.board.starts_from,
        packages=packages,
        pins=made.release["pins"],
    )
