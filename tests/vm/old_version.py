"""An older version of this repository's code, as whoever has not upgraded yet runs it."""

import os
import subprocess
import warnings
from pathlib import Path

from deploy.build.artifact import Build, require_artifact
from deploy.cpu import find_cpu
from deploy.paths import REPO
from tests.unit.test_settings import told

SETTING = "BOARDLLAMA_OLD"
# An upgrade from it was shown: docs/how-to/upgrade.md. Where no tag is older than HEAD it is taken.
OLDEST = "bb23c59"
# Read by Python at its start. Of llama.cpp the old code takes this version's build: to compile another takes minutes,
# and says nothing of our own code.
LEND = """
import sys
from importlib.machinery import PathFinder

class Lend:
    def find_spec(self, name, path=None, target=None):
        if name != "deploy.build.artifact":
            return None
        spec = PathFinder.find_spec(name, path, target)
        run = spec.loader.exec_module
        def exec_module(module):
            run(module)
            module.Build.name = {name!r}
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Lend())
"""


def git(*words: str, repository: Path = REPO) -> bytes | None:
    """What git says; None when it refuses, as in a folder without its history."""
    done = subprocess.run(["git", "-C", str(repository), *words], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def old_commit(repository: Path = REPO) -> str:
    """$BOARDLLAMA_OLD; else the last tag before HEAD, else OLDEST.

    A clone without history has neither: then HEAD, with a warning, so that at least the way itself is tried.
    Raises LookupError for a $BOARDLLAMA_OLD that is not there.
    """
    if wanted := os.environ.get(SETTING):
        if git("cat-file", "-e", f"{wanted}^{{commit}}", repository=repository) is None:
            raise LookupError(f"{SETTING} is {wanted}: this clone has no such commit; `git fetch` it, or name another")
        return wanted
    tag = git("describe", "--tags", "--abbrev=0", "HEAD^", repository=repository)
    for commit in (*(tag or b"").decode().split(), OLDEST):
        if git("cat-file", "-e", f"{commit}^{{commit}}", repository=repository) is not None:
            return commit
    warnings.warn("this clone has no older version: HEAD is upgraded to HEAD; fetch the history", stacklevel=2)
    return "HEAD"


def unpack_version(commit: str, folder: Path, repository: Path = REPO) -> Path:
    """The files of a commit, in a folder."""
    archive = git("archive", commit, repository=repository)
    assert archive is not None, f"git cannot give the files of {commit}"
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    return folder


def lend_build(folder: Path) -> dict[str, str]:
    """Environment of an old version that has this version's build, and a cache of its own, in a folder."""
    build = Build(told().source, find_cpu("cortex-a76"))
    require_artifact(build)
    lent = folder / "cache/builds" / build.name
    lent.parent.mkdir(parents=True)
    lent.symlink_to(build.artifact_folder)
    (folder / "lend").mkdir()
    (folder / "lend/sitecustomize.py").write_text(LEND.format(name=build.name))
    return {"BOARDLLAMA_CACHE": str(folder / "cache"), "PYTHONPATH": str(folder / "lend")}
