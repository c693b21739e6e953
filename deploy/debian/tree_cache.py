"""Root trees in the cache: each is made once, in a staging folder, and is there whole or not at all."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.controller.files import folder_lock
from deploy.controller.step_times import StepTimes
from deploy.debian.binfmt import ensure_arm64_runs
from deploy.debian.controller import check_controller
from deploy.debian.owners import require_namespaces
from deploy.debian.staging import staging_folder
from deploy.debian.tools import SUITE
from deploy.debian.workspace import Workspace
from deploy.errors import BoardllamaError

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class TreeRecipe:
    """How a tree is made. `title` stands before its progress; `room`: bytes of disk that its making takes.

    `make` writes the files named in `results` to the workspace's folder; what it returns goes into the manifest.
    """

    title: str
    room: int
    results: tuple[str, ...]
    make: Callable[[Workspace], dict[str, object]]


def ensure_tree(folder: Path, recipe: TreeRecipe) -> None:
    """Makes the tree unless it is there: 2 minutes on 2 cores. Raises BoardllamaError."""
    if is_made(folder):
        return
    check_controller()
    require_namespaces()
    ensure_arm64_runs()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder_lock(folder.parent, "root tree"):
        if not is_made(folder):
            check_space(folder.parent, recipe)
            build_tree(folder, recipe)


def is_made(folder: Path) -> bool:
    # The folder gets its name last, when its manifest is in it.
    return (folder / MANIFEST).exists()


def check_space(roots: Path, recipe: TreeRecipe) -> None:
    """Raises BoardllamaError before anything is fetched when the disk is too full to hold the result."""
    free = shutil.disk_usage(roots).free
    if free < recipe.room:
        raise BoardllamaError(
            f"{roots} has {free >> 20} MiB free and the {recipe.title} needs {recipe.room >> 20} MiB: make room, "
            "or set BOARDLLAMA_CACHE to a folder on a larger disk"
        )


def build_tree(folder: Path, recipe: TreeRecipe) -> None:
    (folder.parent / "build.log").unlink(missing_ok=True)
    with staging_folder(folder.parent) as new:
        workspace = Workspace(new, SUITE, recipe.title, StepTimes.of_run(recipe.title))
        said = recipe.make(workspace)
        (new / MANIFEST).write_text(json.dumps({"seconds": workspace.times.now, **said}, indent=1) + "\n")
        put_in_place(new, folder, (*recipe.results, MANIFEST))
    workspace.times.keep()


def put_in_place(new: Path, folder: Path, results: tuple[str, ...]) -> None:
    """Removes what only the build needed, flushes the rest to the disk, and renames the folder in one step."""
    for path in new.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in results:
            path.unlink()
    os.sync()
    if folder.exists():
        shutil.rmtree(folder)
    new.rename(folder)
    os.sync()
