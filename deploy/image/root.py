"""A board's root tree as Debian makes it, before the deploy: a tar file in cache_dir()/image-roots/<key>.

No loop device, no mount; the boot partition's files lie below boot/firmware.
"""

import hashlib
import json
import os
import shlex
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.debian import tools
from deploy.debian.native import with_stand_ins
from deploy.debian.packing import files_below, pack, refuse_foreign_programs, words
from deploy.debian.stage import SOURCE_DATE_EPOCH, Stage, check_controller
from deploy.errors import BoardllamaError
from deploy.files import alone, sha256_of
from deploy.image.boards import Board
from deploy.paths import cache_dir
from deploy.vm import binfmt

HERE = Path(__file__).resolve().parent / "root"
RECIPE = 1
COMPONENTS = "main,non-free-firmware"
FREE_BYTES = 3 * 2**30


@dataclass(frozen=True)
class Root:
    """A finished root tree."""

    folder: Path

    @property
    def tar(self) -> Path:
        """Everything, owners and all."""
        return self.folder / "root.tar"


def inputs(board: Board) -> dict[str, object]:
    """All that decides what is in the root. The mirror too: a snapshot of Debian holds other versions."""
    shared = [path for folder in (tools.HERE, HERE) for path in folder.iterdir() if path.suffix in (".txt", ".sh")]
    own = [path for path in (HERE / board.files).rglob("*") if path.is_file()]
    return {
        "recipe": RECIPE,
        "epoch": SOURCE_DATE_EPOCH,
        "suite": tools.SUITE,
        "mirror": os.environ.get("BOARDLLAMA_MIRROR", ""),
        "packages": packages(board),
        "initrd": board.initrd,
        "files": {str(path.relative_to(HERE.parent.parent)): sha256_of(path) for path in sorted([*shared, *own])},
    }


def packages(board: Board) -> list[str]:
    """What is installed beyond Debian's minbase."""
    return [*words(HERE.parent / "packages.txt"), board.kernel, *board.packages]


def key(board: Board) -> str:
    """The name of the board's files and 16 hexadecimal digits of the inputs: boards that differ in neither share it."""
    text = json.dumps(inputs(board), sort_keys=True)
    return f"{board.files}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def ensure(board: Board) -> Root:
    """The cached root tree, made first when it is not there: 2 minutes on 2 cores. Raises BoardllamaError."""
    roots = cache_dir() / "image-roots"
    found = Root(roots / key(board))
    if found.tar.exists():
        return found
    check_controller()
    binfmt.ensure_arm64_runs()
    roots.mkdir(parents=True, exist_ok=True)
    with alone(roots, "root tree"):
        if not found.tar.exists():
            check_space(roots)
            build(board, found.folder)
    return found


def check_space(folder: Path) -> None:
    """Raises BoardllamaError before anything is fetched when the disk is too full to hold the result."""
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        raise BoardllamaError(
            f"{folder} has {free >> 20} MiB free and a root tree needs {FREE_BYTES >> 20} MiB: make room, "
            "or set BOARDLLAMA_CACHE to a folder on a larger disk"
        )


def build(board: Board, folder: Path) -> None:
    """Makes the tree aside, then renames it into place. What an interrupted build left is removed first."""
    for left_over in folder.parent.glob(".new-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    (folder.parent / "build.log").unlink(missing_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    aside.chmod(0o755)
    stage = Stage(aside, tools.SUITE, f"root tree of {board.name}")
    install_packages(stage, board)
    manifest = {"seconds": stage.seconds, **inputs(board)}
    (aside / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    for path in aside.iterdir():
        if path.name not in ("root.tar", "manifest.json"):
            path.unlink()
    os.sync()
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    os.sync()


def install_packages(stage: Stage, board: Board) -> None:
    """The tree as folder/root.tar: packages set up, the boot partition filled, no x86 file left."""
    tree = stage.folder / "root.tar"
    added = stage.folder / "added.tar"
    pack(added, files_below(HERE / board.files))
    hooks = with_stand_ins(
        stage.folder,
        tools.ensure(),
        [
            f"--extract-hook={script('hold-initrd.sh')}",
            f"--customize-hook=tar-in {shlex.quote(str(added))} /",
            f"--customize-hook=INITRD={'yes' if board.initrd else 'no'}\n{script('boot.sh')}",
        ],
    )
    stage.mmdebstrap(
        "packages",
        tree,
        "--variant=minbase",
        "--architectures=arm64",
        f"--components={COMPONENTS}",
        f"--include={','.join(packages(board))}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in words(tools.HERE / "excluded.txt")),
        *hooks,
    )
    refuse_foreign_programs(tree)


def script(name: str) -> str:
    """The text of a hook."""
    return (HERE / name).read_text()
