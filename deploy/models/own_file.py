"""A model's file that the operator has on this controller."""

import os
from dataclasses import dataclass
from pathlib import Path

from deploy.controller.files import sha256_of
from deploy.controller.progress import Say
from deploy.errors import BoardllamaError, shown
from deploy.paths import cache_dir, user_path


@dataclass(frozen=True)
class OwnFile:
    """The file that a setting names by `text`, a path in which ~ stands for a home."""

    text: str
    setting: str = "model_path"

    @property
    def path(self) -> Path:
        """The file. Raises BoardllamaError for a path without a plain file."""
        path = user_path(self.setting, self.text)
        if not path.is_file():
            raise BoardllamaError(
                f"{self.setting} is {shown(self.text)}: must be a .gguf file on this computer that is there"
            )
        return path

    @property
    def sha256(self) -> str:
        """64 hexadecimal digits. Raises BoardllamaError, OSError."""
        return sha256_once(self.path)

    @property
    def size(self) -> int:
        """Bytes. Raises BoardllamaError, OSError."""
        return self.path.stat().st_size

    @property
    def pin(self) -> str:
        """A file of the operator's, of which only the content is known."""
        return "path"

    @property
    def is_here(self) -> bool:
        return True

    def fetch_file(self, _say: Say) -> Path:
        """The file, which is there already. Raises BoardllamaError when it is not."""
        return self.path


def sha256_once(path: Path) -> str:
    """The file's SHA-256 in hexadecimal digits. The file is read only when it has changed since it was last hashed."""
    stat = path.stat()
    identity = f"{stat.st_dev}-{stat.st_ino}-{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ctime_ns}"
    known = cache_dir() / "sha256" / identity
    if not known.exists():
        known.parent.mkdir(parents=True, exist_ok=True)
        new = known.with_suffix(f".{os.getpid()}")
        new.write_text(sha256_of(path))
        new.replace(known)
    return known.read_text()
