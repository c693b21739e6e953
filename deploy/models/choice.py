"""Which model the settings of a host name."""

from enum import Enum
from pathlib import Path

from deploy.errors import BoardllamaError, shown
from deploy.models import smoke
from deploy.models.hub_model import HubModel
from deploy.models.model import Model, single_file
from deploy.models.own_file import OwnFile
from deploy.onboard.gguf.chat_models import part_count_in_name


class ModelKind(Enum):
    """Where the model comes from."""

    HUB = "hub"
    PATH = "path"
    SMOKE = "smoke"


def chosen_model(kind: ModelKind, pin: HubModel | None, own_path: str) -> Model:
    """The model of that kind. `pin`: the file of a hub; `own_path`: the operator's own file."""
    if kind is ModelKind.HUB:
        assert pin
        require_whole_model(pin)
        return single_file(Path(pin.file).name, pin)
    if kind is ModelKind.PATH:
        return single_file(Path(own_path).name, OwnFile(own_path))
    return single_file(smoke.FILE, smoke.SmokeFile())


def require_whole_model(pin: HubModel) -> None:
    """Raises BoardllamaError for one part of a model, as its name says."""
    if (parts := part_count_in_name(pin.file)) > 1:
        raise BoardllamaError(
            f"model file {shown(pin.file)} is one of {parts} parts of a model: take one that is a single file, or "
            f"fetch them all, make one of them with `llama-gguf-split --merge`, and set model to path"
        )
