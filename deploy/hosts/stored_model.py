"""A model in the store of a service: models lie there by their content, so that releases share them."""

import hashlib
from dataclasses import dataclass

from deploy.hosts.release_manifest import ModelEntry, ModelFileEntry
from deploy.hosts.store import BigFile
from deploy.models.model import FileKind, Model, ModelFile
from deploy.onboard.service import Service


@dataclass(frozen=True)
class StoredModel:
    """A model on a target, for one service."""

    model: Model
    service: Service

    @property
    def files(self) -> tuple[BigFile, ...]:
        """Its files and their places on the target, in their order. Raises BoardllamaError, OSError."""
        return tuple(
            BigFile(file.origin.path, f"{self.folder_of(file)}/{file.name}", file.origin.sha256, file.origin.size)
            for file in self.model.files
        )

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return self.model.size

    @property
    def links(self) -> dict[str, str]:
        """The files by their names, and their places on the target."""
        return {file.name: file.dest for file in self.files}

    @property
    def entry(self) -> ModelEntry:
        """What a manifest says of the model."""
        files = [
            ModelFileEntry(name=file.name, sha256=file.origin.sha256, size=file.origin.size, kind=file.kind.value)
            for file in self.model.files
        ]
        first = files[0]
        return ModelEntry(name=first.name, sha256=first.sha256, size=first.size, files=files)

    def folder_of(self, file: ModelFile) -> str:
        """The folder of a file. The parts of weights lie in one: llama-server looks for them beside the first."""
        beside = self.model.files_of(FileKind.WEIGHTS) if file.kind is FileKind.WEIGHTS else (file,)
        hashes = [part.origin.sha256 for part in beside]
        content = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
        return f"{self.service.model_store}/{content[:16]}"
