"""Where things live on the controller."""

import os
from pathlib import Path

from deploy.errors import BoardllamaError, shown
from deploy.onboard.server.value_rules import NAME_MAX, PATH_MAX, is_path

PACKAGE = Path(__file__).resolve().parent
# What a clone has beside deploy/, an installed boardllama has in a folder of deploy/: pyproject.toml says what.
INSTALLED = (PACKAGE / "product").is_dir()
REPO = PACKAGE / "product" if INSTALLED else PACKAGE.parent
# Not beside tests/ of an installed boardllama: what runs in that folder would take the file for the package `deploy`.
STORY = REPO / "story" / "deploy.py" if INSTALLED else REPO / "deploy.py"


def typed(verb: str) -> str:
    """What a user types for a verb, as messages name it: make in a clone, the command where boardllama is installed."""
    return f"`boardllama {verb}`" if INSTALLED else f"`make {verb}`"


def cache_dir() -> Path:
    """Folder of everything that can be made again: $BOARDLLAMA_CACHE, or ~/.cache/boardllama. Not created here."""
    configured = os.environ.get("BOARDLLAMA_CACHE")
    return user_path("BOARDLLAMA_CACHE", configured) if configured else Path.home() / ".cache" / "boardllama"


def dist_dir() -> Path:
    """Folder of finished images: $BOARDLLAMA_DIST, or dist/ of the clone, or of the current folder where there is none.

    Not created here.
    """
    configured = os.environ.get("BOARDLLAMA_DIST")
    return user_path("BOARDLLAMA_DIST", configured) if configured else work_dir() / "dist"


def work_dir() -> Path:
    """Where what a user makes is left: the clone, or the current folder where boardllama is installed."""
    return Path.cwd() if INSTALLED else REPO


def machines_dir() -> Path:
    """Folder of the virtual machines. Not created here."""
    return cache_dir() / "vm" if INSTALLED else REPO / ".vm"


def user_path(setting: str, text: str) -> Path:
    """The path that a user wrote, with ~ for a home. Raises BoardllamaError for a text that is no path."""
    if not is_path(text):
        raise BoardllamaError(
            f"{setting} is {shown(text)}: must be a path of printable characters, at most {NAME_MAX} bytes between two "
            f"slashes and {PATH_MAX} in all"
        )
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise BoardllamaError(f"{setting} is {shown(text)}: must begin with a user of this computer after ~") from None
