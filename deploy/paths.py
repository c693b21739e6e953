"""Where things live on the controller."""

import os
from pathlib import Path

from deploy.errors import BoardllamaError, shown
from deploy.onboard.server.value_rules import NAME_MAX, PATH_MAX, is_path

REPO = Path(__file__).resolve().parent.parent


def cache_dir() -> Path:
    """Folder of everything that can be made again: $BOARDLLAMA_CACHE, or ~/.cache/boardllama. Not created here."""
    configured = os.environ.get("BOARDLLAMA_CACHE")
    return user_path("BOARDLLAMA_CACHE", configured) if configured else Path.home() / ".cache" / "boardllama"


def dist_dir() -> Path:
    """Folder of finished images: $BOARDLLAMA_DIST, or dist/ of the repository. Not created here."""
    configured = os.environ.get("BOARDLLAMA_DIST")
    return user_path("BOARDLLAMA_DIST", configured) if configured else REPO / "dist"


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
