"""The files of a model beside its first: parts of its weights, a projector (vision, sound), a draft."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from deploy.errors import BoardllamaError, shown
from deploy.formats.values import Frozen
from deploy.models.hub.hub_model import HubModel
from deploy.models.model import FileKind, Model, ModelFile, Origin
from deploy.models.own_file import OwnFile
from deploy.onboard.gguf.chat_models import ONE_FILE, part_count_in_name, part_names
from deploy.onboard.server.value_rules import is_file_name
from deploy.paths import typed

SETTING = "further_files"


class FurtherFile(Frozen):
    """One entry of the setting: a file of a hub with its pin, or without a sha256 a file of the controller.

    `repo` and `revision` may be left out where they are those of the model itself. `size` in bytes.
    """

    kind: Literal["weights", "projector", "draft"]
    file: str
    sha256: str = ""
    size: int = 0
    repo: str = ""
    revision: str = ""

    def origin_beside(self, pin: HubModel | None) -> Origin:
        """Where the file comes from. `pin`: the model's first file. Raises BoardllamaError."""
        if not self.sha256:
            return OwnFile(self.file, SETTING)
        repo, revision = (self.repo, self.revision) if self.repo or not pin else (pin.repo, pin.revision)
        return HubModel(repo, self.file, revision, self.sha256, self.size)


def with_further_files(model: Model | None, further: tuple[FurtherFile, ...]) -> Model | None:
    """The model with all of its files; None without a model. Raises BoardllamaError unless they make a whole one."""
    if model is None:
        if further:
            raise BoardllamaError(f"{SETTING} belongs to a model: name it in the setting model, or set {SETTING} to []")
        return None
    first = model.main_file.origin
    pin = first if isinstance(first, HubModel) else None
    added = [*own_parts(model), *(model_file(one, pin) for one in further)]
    files = sorted((*model.files, *added), key=lambda file: list(FileKind).index(file.kind))
    whole = replace(model, name=whole_name(model.name), files=tuple(files))
    require_whole_model(whole)
    return whole


def whole_name(name: str) -> str:
    """The name of a model that is called as its first part: without the number of the part."""
    return f"{name.rpartition('-00001-of-')[0]}.gguf" if part_names(name) else name


def model_file(further: FurtherFile, pin: HubModel | None) -> ModelFile:
    """The file that an entry of the setting means. Raises BoardllamaError."""
    name = Path(further.file).name
    if not is_file_name(name):
        raise BoardllamaError(f"{SETTING} has the file {shown(further.file)}: must be the path of a .gguf file")
    return ModelFile(name, further.origin_beside(pin), FileKind(further.kind))


def own_parts(model: Model) -> list[ModelFile]:
    """The other parts of an operator's own model: they lie beside the first."""
    first = model.main_file.origin
    if not isinstance(first, OwnFile):
        return []
    names = part_names(model.main_file.name)[1:]
    return [ModelFile(name, OwnFile(str(Path(first.text).with_name(name)), first.setting)) for name in names]


def require_whole_model(model: Model) -> None:
    """Raises BoardllamaError for parts of which one is missing or too many, and for two files of one other kind."""
    first, *others = [file.name for file in model.files_of(FileKind.WEIGHTS)]
    parts = part_count_in_name(first)
    if parts > 1 and [first, *others] != part_names(first):
        raise BoardllamaError(
            f"model file {shown(first)} is one of {parts} parts of a model: take the first, and name the others in "
            f"{SETTING} in their order ({typed('pin')} prints them); or {ONE_FILE}"
        )
    if parts <= 1 and others:
        raise BoardllamaError(f"{SETTING} has the weights {shown(others[0])}: but {first} is a whole model")
    for kind in (FileKind.PROJECTOR, FileKind.DRAFT):
        if (count := len(model.files_of(kind))) > 1:
            raise BoardllamaError(f"{SETTING} has {count} files of the kind {kind.value}: take one")
