"""The check of content is all that is known of a board that QEMU has not: whatever is wrong with a disk, it says so.

The disks are made by the real tools, as `make image` makes them, of little files in the place of Debian's.
"""

import mmap
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.debian import ext4, tools
from deploy.debian.workspace import Workspace
from deploy.errors import BoardllamaError
from deploy.image import disk
from deploy.image.boards import DEBIAN_BOARDS, MIB
from deploy.image.content import check_content
from deploy.image.disk import DiskLayout


@dataclass(frozen=True)
class Made:
    """A disk that is as it should be, and what it was made of."""

    workspace: Workspace
    layout: DiskLayout
    disk: Path
    names: list[str]

    def content(self, name: str) -> bytes:
        """Of a file of the input folder."""
        return (self.workspace.folder / "input" / name).read_bytes()


@pytest.fixture(scope="module", params=list({board.files: name for name, board in DEBIAN_BOARDS.items()}.values()))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """For boards with a hybrid table, and with boot loaders before the first partition."""
    board, folder = DEBIAN_BOARDS[request.param], tmp_path_factory.mktemp("made") / "work"
    layout, workspace = DiskLayout(board, 16 * MIB), Workspace(folder, tools.SUITE, "image")
    names = [need.replace("*", "6.12-arm64") for need in board.needs]
    files = {f"boot/{name}": f"{name} of {board.name}\n".encode() * 4000 for name in names}
    files |= {f"blob{place}": f"{blob.path}\n".encode() * 100 for place, blob in enumerate(board.blobs)}
    files |= {"identity/boardllama.txt": b"# nothing is said of this board yet\n"}
    for name, content in files.items():
        (folder / "input" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "input" / name).write_bytes(content)
    (folder / "tree").mkdir()
    ext4.make_ext4(
        workspace,
        tools.ensure_tools(),
        folder / "tree",
        folder / "input/root.ext4",
        layout.root_size,
        disk.ROOT_UUID,
    )
    return Made(workspace, layout, disk.assemble_disk(workspace, tools.ensure_tools(), layout, names), names)


def judge(made: Made, image: Path) -> None:
    """Raises BoardllamaError with what is wrong."""
    check_content(made.workspace, tools.ensure_tools(), image, made.layout, made.names)


def overwrite(image: Path, offset: int, content: bytes) -> None:
    """Some bytes of the disk become others."""
    with image.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def spoil(image: Path, content: bytes) -> None:
    """One byte in the middle of that content, wherever it lies, becomes another."""
    with image.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as bytes_of:
        found = bytes_of.find(content)
    assert found >= 0
    overwrite(image, found + len(content) // 2, b"\xff")


def mbr_row(made: Made, image: Path) -> None:
    """Where there are two, one is lost; where there is one, another comes."""
    rows = image.open("rb").read(512)[446:510]
    overwrite(image, 446, rows[:16] + (b"\x83" * 16 if not any(rows[16:32]) else bytes(16)) + rows[32:])


def partition_id(made: Made, image: Path) -> None:
    other = ["--part-uuid", str(image), "3", "b0a4d11a-0000-4000-8000-0000000000ff"]
    subprocess.run([*tools.ensure_tools().program_command("usr/sbin/sfdisk"), "--quiet", *other], check=True)


def kernel(made: Made, image: Path) -> None:
    spoil(image, made.content(f"boot/{next(name for name in made.names if name.startswith('vmlinuz'))}"))


def identity(made: Made, image: Path) -> None:
    spoil(image, made.content("identity/boardllama.txt"))


def root(made: Made, image: Path) -> None:
    overwrite(image, made.layout.root_offset + 1024 + 56, b"\0\0")  # the magic number of ext4


def test_a_good_disk_passes(made: Made) -> None:
    judge(made, made.disk)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (mbr_row, "its MBR says"),
        (partition_id, "its partitions' ids are"),
        (kernel, r"vmlinuz\S* is damaged"),
        (identity, r"boardllama\.txt is damaged"),
        (root, "check of the root file system failed"),
    ],
)
def test_a_bad_one_is_refused_and_told_why(
    made: Made, tmp_path: Path, damage: Callable[[Made, Path], None], words: str
) -> None:
    image = tmp_path / "disk.img"
    subprocess.run(["cp", "--sparse=always", str(made.disk), str(image)], check=True)
    damage(made, image)
    with pytest.raises(BoardllamaError, match=words):
        judge(made, image)


def test_boot_loaders_are_where_the_boot_rom_reads_them(made: Made, tmp_path: Path) -> None:
    """Shifted by one sector, each of them is named."""
    for place, blob in enumerate(made.layout.board.blobs):
        image = tmp_path / f"disk{place}.img"
        subprocess.run(["cp", "--sparse=always", str(made.disk), str(image)], check=True)
        overwrite(image, blob.offset, bytes(512) + made.content(f"blob{place}"))
        with pytest.raises(BoardllamaError, match=f"{blob.path} is not at byte {blob.offset}"):
            judge(made, image)
