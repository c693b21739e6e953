"""A model as a service serves it: its files, and where each comes from."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from deploy.controller.progress import Say


class FileKind(Enum):
    """What llama-server takes a file of a model for."""

    WEIGHTS = "weights"
    PROJECTOR = "projector"
    DRAFT = "draft"


class Origin(Protocol):
    """Where a file comes from, and what its bytes are. Each member may raise BoardllamaError or OSError."""

    @property
    def path(self) -> Path:
        """Where the file lies on this controller, or is to lie once it is fetched."""

    @property
    def sha256(self) -> str:
        """64 hexadecimal digits."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def is_here(self) -> bool:
        """Whether no network is needed to have the file on this controller."""

    def fetch_file(self, say: Say) -> Path:
        """The file on this controller, complete and as pinned; `say` is told of the progress."""


@dataclass(frozen=True)
class ModelFile:
    """A file of a model. `name`: its file name on the target."""

    name: str
    origin: Origin
    kind: FileKind = FileKind.WEIGHTS


@dataclass(frozen=True)
class Model:
    """What a setting names. `name`: for messages. `files`: the parts of the weights in their order, then the others."""

    name: str
    files: tuple[ModelFile, ...]

    @property
    def main_file(self) -> ModelFile:
        """The file that llama-server is told: the weights, or their first part."""
        return self.files[0]

    @property
    def is_here(self) -> bool:
        """Whether all files are on this controller."""
        return all(file.origin.is_here for file in self.files)

    def files_of(self, kind: FileKind) -> tuple[ModelFile, ...]:
        """Its files of that kind, in their order."""
        return tuple(file for file in self.files if file.kind is kind)


def single_file(name: str, origin: Origin) -> Model:
    """A model that is one file of weights, by its file name."""
    return Model(name, (ModelFile(name, origin),))
