"""This product's programs, from whatever folder: pyinfra with its deploy, and modules of deploy/."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.paths import PACKAGE, REPO, STORY

PYINFRA = Path(sys.executable).with_name("pyinfra")


def environment() -> dict[str, str]:
    """What the programs are told: `deploy` is this product, whatever stands in the current folder."""
    own = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(own)}


def module_words(module: str, *words: str) -> list[str]:
    """The command line of a module of deploy/."""
    return [sys.executable, "-m", module, *words]


def pyinfra_words(inventory: Path, *words: str, options: Sequence[str] = ()) -> list[str]:
    """The command line of pyinfra for an inventory: with deploy.py, or with the story that `words` name."""
    story = words or (str(STORY),)
    return [str(PYINFRA), "-y", "--config", str(REPO / "config.py"), *options, str(inventory), *story]
