"""Where things live on the controller."""

import os
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent


def cache_dir() -> Path:
    """Folder of everything that can be made again: $BOARDLLAMA_CACHE, or ~/.cache/boardllama. Not created here."""
    configured = os.environ.get("BOARDLLAMA_CACHE")
    return Path(configured).expanduser() if configured else Path.home() / ".cache" / "boardllama"
