"""A board's root tree as Debian makes it, before the deploy: a tar file in cache_dir()/image-roots/<key>.

No loop device, no mount; the boot partition's files lie below boot/firmware.
"""

import hashlib
import json
import os
import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deploy.controller.files import sha256_of
from deploy.debian import tools
from deploy.debian.archive import archive_address
from deploy.debian.minbase import install_minbase
from deploy.debian.tar_files import files_below
from deploy.debian.tree_cache import TreeRecipe, ensure_tree
from deploy.debian.word_lists import read_words
from deploy.debian.workspace import SOURCE_DATE_EPOCH, Workspace
from deploy.image.boards import DebianBoard
from deploy.paths import cache_dir

HERE = Path(__file__).resolve().parent / "root"
RECIPE_VERSION = 3
# What every board's tree has when its initrd is made, and where the names of its device trees lie then.
EVERY, TREES = "every", "etc/initramfs-tools/device-trees"
COMPONENTS = ("main", "non-free-firmware")
# Who gives an image away gives Debian's licences along; of all other documents a tree has none.
LICENCES = "/usr/share/doc/*/copyright"


@dataclass(frozen=True)
class BoardRoot:
    """A finished root tree, in a folder of the cache."""

    folder: Path

    @property
    def tar(self) -> Path:
        """All files of the tree, with their owners."""
        return self.folder / "root.tar"


def board_root_inputs(board: DebianBoard) -> dict[str, object]:
    """All that decides what is in the root, the mirror too: a snapshot of Debian holds other versions."""
    shared = [path for folder in (tools.HERE, HERE) for path in folder.iterdir() if path.suffix in (".txt", ".sh")]
    own = [path for folder in (EVERY, board.files) for path in (HERE / folder).rglob("*") if path.is_file()]
    return {
        "recipe": RECIPE_VERSION,
        "epoch": SOURCE_DATE_EPOCH,
        "suite": tools.SUITE,
        "mirror": os.environ.get("BOARDLLAMA_MIRROR", ""),
        "packages": board_packages(board),
        "suites": board.suites,
        "initrd": board.initrd_trees,
        "files": {str(path.relative_to(HERE.parent.parent)): sha256_of(path) for path in sorted([*shared, *own])},
    }


def board_packages(board: DebianBoard) -> list[str]:
    """The packages that are installed beyond Debian's minbase."""
    return [*read_words(HERE.parent / "packages.txt"), board.kernel, *board.packages]


def board_root_key(board: DebianBoard) -> str:
    """The folder of the board's files and 16 hexadecimal digits over the inputs: boards alike in both share a root."""
    text = json.dumps(board_root_inputs(board), sort_keys=True)
    return f"{board.files}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def make_board_root(workspace: Workspace, board: DebianBoard) -> dict[str, object]:
    """Makes the tree as folder/root.tar, with the boot partition's files. Returns what its manifest says."""
    trees = workspace.folder / "device-trees"
    trees.write_text("".join(f"{pattern}\n" for pattern in board.initrd_trees))
    files = [*files_below(HERE / EVERY), *files_below(HERE / board.files), (trees, TREES)]
    hooks = [
        *(f'--setup-hook=echo {shlex.quote(line)} >>"$1/etc/apt/sources.list"' for line in suite_lines(board)),
        f"--extract-hook={script_text('hold-initrd.sh')}",
        f"--customize-hook={script_text('boot.sh')}",
    ]
    if board.suites:
        hooks.append(f"--customize-hook=SUITES={shlex.quote(' '.join(board.suites))}\n{script_text('keep-kernel.sh')}")
    options = [f"--components={','.join(COMPONENTS)}", f"--dpkgopt=path-include={LICENCES}"]
    install_minbase(workspace, tools.ensure_tools(), board_packages(board), files, hooks, *options)
    return board_root_inputs(board)


def suite_lines(board: DebianBoard) -> list[str]:
    """The lines of sources.list for the board's further suites, from the same archive as the stable one."""
    return [f"deb {archive_address()} {suite} {' '.join(COMPONENTS)}" for suite in board.suites]


def ensure_board_root(board: DebianBoard) -> BoardRoot:
    """The cached root tree, made first when it is not there: 2 minutes on 2 cores. Raises BoardllamaError."""
    found = BoardRoot(cache_dir() / "image-roots" / board_root_key(board))
    make = partial(make_board_root, board=board)
    ensure_tree(found.folder, TreeRecipe(f"root tree of {board.name}", 3 * 2**30, (found.tar.name,), make))
    return found


def script_text(name: str) -> str:
    return (HERE / name).read_text()
