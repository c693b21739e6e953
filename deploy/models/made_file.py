"""A file that this controller makes itself, in the cache and verified as a download is."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from deploy.controller.files import sha256_of
from deploy.controller.progress import Say, say_line
from deploy.errors import BoardllamaError
from deploy.models.file_turn import PATIENCE, take_turn
from deploy.models.receipt import accept_part, has_receipt, is_verified
from deploy.paths import cache_dir


class MadeFile(NamedTuple):
    """What comes out is pinned: `name` ends in .gguf, `sha256` has 64 hexadecimal digits, `size` is in bytes."""

    name: str
    sha256: str
    size: int


def make_once(
    made: MadeFile, write: Callable[[Path], object], progress: Say = say_line, patience: float = PATIENCE
) -> Path:
    """The file in the cache; `write` makes it at the path that it is given when it is missing or damaged.

    Another run that makes it is waited for, `patience` seconds after the file grew last. Raises BoardllamaError when
    other bytes came out.
    """
    path = cache_dir() / "models" / made.sha256[:16] / made.name
    part = path.with_name(f"{made.sha256}.part")
    try:
        if not has_receipt(path, made.sha256, made.size):
            path.parent.mkdir(parents=True, exist_ok=True)
            with take_turn(path.with_name("lock"), part, progress, patience):
                _make_verified(made, write, part, path)
    except OSError as exc:
        raise BoardllamaError(f"{path} cannot be made ({exc.strerror}): mend it, or set BOARDLLAMA_CACHE") from exc
    return path


def _make_verified(made: MadeFile, write: Callable[[Path], object], part: Path, path: Path) -> None:
    if is_verified(path, made.sha256, made.size):
        return
    write(part)
    if (got := sha256_of(part)) != made.sha256:
        part.unlink()
        raise BoardllamaError(f"{made.name} came out as sha256 {got}, pinned {made.sha256}: use pyproject.toml's gguf")
    accept_part(part, path, made.sha256)
