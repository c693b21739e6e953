"""Debian's minbase with packages and files of ours: the step that makes every root tree."""

import shlex
from collections.abc import Iterable
from pathlib import Path

from deploy.debian.stand_ins import with_stand_ins
from deploy.debian.tar_files import refuse_foreign_programs, write_tar
from deploy.debian.tools import HERE, Tools
from deploy.debian.word_lists import read_words
from deploy.debian.workspace import Workspace


def install_minbase(
    workspace: Workspace,
    tools: Tools,
    packages: Iterable[str],
    files: Iterable[tuple[Path, str]],
    hooks: Iterable[str],
    *options: str,
) -> Path:
    """Makes folder/root.tar: sets `packages` up, puts `files` (path, name in the tree) in, then runs `hooks`.

    `hooks` and `options` are mmdebstrap's. Raises BoardllamaError, also when an x86 program was left in the tree.
    """
    tree, added = workspace.folder / "root.tar", workspace.folder / "added.tar"
    # Files go in as a tar file and scripts as text: an ordinary user's build has user ids that cannot read the cache.
    write_tar(added, files)
    ours = [f"--customize-hook=tar-in {shlex.quote(str(added))} /", *hooks]
    workspace.run_mmdebstrap(
        "packages",
        tree,
        "--variant=minbase",
        "--architectures=arm64",
        f"--include={','.join(packages)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in read_words(HERE / "excluded.txt")),
        *options,
        *with_stand_ins(workspace.folder, tools, ours),
    )
    refuse_foreign_programs(tree)
    return tree
