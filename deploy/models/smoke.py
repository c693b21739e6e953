"""The smoke model: a llama of half a megabyte with random weights, so that CI downloads none.

It knows nothing, but everything around it is real: tokenizer, chat template, attention, F16 weights. Its bytes are the
same on every controller, and SHA256 pins them: see smoke_writer.py, which makes them.
"""

from pathlib import Path

from deploy.controller.files import sha256_of, sync
from deploy.controller.progress import Say, say_line
from deploy.errors import BoardllamaError
from deploy.models.file_turn import take_turn
from deploy.models.receipt import accept_part, has_receipt, is_verified
from deploy.paths import cache_dir

FILE = "boardllama-smoke.gguf"
NAME = "boardllama-smoke"
SHA256 = "e1455fb901292032df0e2b660236f1c25bd564f31da91887cad24ef6d526ef84"
SIZE = 531648  # bytes
CONTEXT = 4096  # tokens


def smoke_model(progress: Say = say_line) -> Path:
    """The model on this controller, cached and verified like a downloaded model; made in 0.1 s when missing."""
    path = cache_dir() / "models" / SHA256[:16] / FILE
    part = path.with_name(f"{SHA256}.part")
    try:
        if not has_receipt(path, SHA256, SIZE):
            path.parent.mkdir(parents=True, exist_ok=True)
            with take_turn(path.with_name("lock"), part, progress):
                _make_file(part, path)
    except OSError as exc:
        raise BoardllamaError(f"{path} cannot be made ({exc.strerror}): mend it, or set BOARDLLAMA_CACHE") from exc
    return path


def _make_file(part: Path, path: Path) -> None:
    if is_verified(path, SHA256, SIZE):
        return
    _write_gguf(part)
    if (got := sha256_of(part)) != SHA256:
        part.unlink()
        raise BoardllamaError(f"{FILE} came out as sha256 {got}, pinned {SHA256}: use the gguf of pyproject.toml")
    accept_part(part, path, SHA256)


def write_smoke_model(path: Path) -> None:
    """Writes the model (GGUF, F16, SIZE bytes, sha256 SHA256) to path: temp beside it, fsync, rename."""
    part = path.with_name(path.name + ".part")
    _write_gguf(part)
    sync(part)
    part.replace(path)
    sync(path.parent)


def _write_gguf(path: Path) -> None:
    from deploy.models.smoke_writer import write_gguf  # gguf and numpy take a tenth of a second; few runs need them

    write_gguf(path)
