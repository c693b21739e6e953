"""A model as a service serves it: its files, and where each comes from."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from deploy.controller.progress import Say
from deploy.models.catalogue.outline import Outline

# A file of a hub by its names there, or the kind of another file; a list for a model of several files.
Pin = dict[str, str] | str | list["Pin"]


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
        """The SHA-256 of its content, as 64 hexadecimal digits."""

    @property
    def size(self) -> int:
        """The size of its content in bytes."""

    @property
    def pin(self) -> Pin:
        """Where the file comes from, for the manifest of a release."""

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
class Advice:
    """How a model's publisher has it sampled, and what suits it on a board. None: nothing is known.

    `context_size`: tokens. `reasoning`: whether it thinks before it answers: "off", "on", or "auto", as its template
    says.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    context_size: int | None = None
    reasoning: str | None = None


@dataclass(frozen=True)
class Model:
    """What a setting names. `name`: for messages. `files`: the parts of the weights in their order, then the others.

    `role`: chat, embed or rerank. `licence`: by its SPDX name where it has one; "" where it is not known. `page`: where
    its publisher says it. `advice`
    holds while the model does not think, `thinking` while it does. `outline`: for an estimate before the files are
    here. `measured`: tokens per second on boards, for a table.
    """

    name: str
    files: tuple[ModelFile, ...]
    role: str = "chat"
    licence: str = ""
    page: str = ""
    advice: Advice = Advice()
    thinking: Advice | None = None
    outline: Outline | None = None
    measured: str = ""

    @property
    def main_file(self) -> ModelFile:
        """The file that llama-server is told: the weights, or their first part."""
        return self.files[0]

    @property
    def is_here(self) -> bool:
        """Whether all files are on this controller."""
        return all(file.origin.is_here for file in self.files)

    @property
    def size(self) -> int:
        """Bytes of all files. Raises BoardllamaError, OSError."""
        return sum(file.origin.size for file in self.files)

    @property
    def pin(self) -> Pin:
        """Where the model comes from, for the manifest of a release."""
        pins = [file.origin.pin for file in self.files]
        return pins[0] if len(pins) == 1 else pins

    def advice_for(self, reasoning: str | None) -> Advice:
        """What holds for a setting of `reasoning`; None: as the publisher or we have it."""
        thinks = (reasoning or self.advice.reasoning) in ("on", "auto")
        return self.thinking if self.thinking and thinks else self.advice

    @property
    def weights_size(self) -> int:
        """Bytes of the weights alone. Raises BoardllamaError, OSError."""
        return sum(file.origin.size for file in self.files_of(FileKind.WEIGHTS))

    def files_of(self, kind: FileKind) -> tuple[ModelFile, ...]:
        """Its files of that kind, in their order."""
        return tuple(file for file in self.files if file.kind is kind)


def single_file(name: str, origin: Origin) -> Model:
    """A model that is one file of weights, by its file name."""
    return Model(name, (ModelFile(name, origin),))
