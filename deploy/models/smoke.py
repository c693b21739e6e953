"""The smoke model: a llama of half a megabyte with random weights, so that CI downloads none.

It knows nothing, but everything around it is real: tokenizer, chat template, attention, F16 weights. Its bytes are the
same on every controller, and SHA256 pins them: see smoke_writer.py, which makes them.
"""

from dataclasses import dataclass
from pathlib import Path

from deploy.controller.files import sync
from deploy.controller.progress import Say, say_line
from deploy.models.made_file import MadeFile, make_once

FILE = "boardllama-smoke.gguf"
NAME = "boardllama-smoke"
SHA256 = "e1455fb901292032df0e2b660236f1c25bd564f31da91887cad24ef6d526ef84"
SIZE = 531648  # bytes
CONTEXT = 4096  # tokens


@dataclass(frozen=True)
class SmokeFile:
    """The model's file as an origin (deploy/models/model.py)."""

    sha256: str = SHA256
    size: int = SIZE

    @property
    def path(self) -> Path:
        """The file, which is made when it is missing. Raises BoardllamaError."""
        return smoke_model()

    @property
    def pin(self) -> str:
        """The smoke model, which needs no further pin than these programs."""
        return "smoke"

    @property
    def is_here(self) -> bool:
        return True

    def fetch_file(self, say: Say) -> Path:
        """The file, which is made when it is missing. Raises BoardllamaError."""
        return smoke_model(say)


def smoke_model(progress: Say = say_line) -> Path:
    """The model on this controller, cached and verified like a downloaded model; made in 0.1 s when missing."""
    return make_once(MadeFile(FILE, SHA256, SIZE), _write_gguf, progress)


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
