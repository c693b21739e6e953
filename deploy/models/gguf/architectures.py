"""Which models are brought to a target: only models that its llama-server serves, by the board's own rules."""

from collections.abc import Sequence

from deploy.errors import BoardllamaError
from deploy.models.model import FileKind
from deploy.onboard.gguf.architectures import PIN
from deploy.onboard.gguf.chat_models import (
    ONE_FILE,
    is_projector,
    misplaced_tensor,
    model_refusal,
    no_weights,
    other_file,
    part_count,
)
from deploy.onboard.gguf.header import Header
from deploy.onboard.service import CHAT


def check_architecture(header: Header, label: str, role: str = CHAT, pin: str = PIN, parts: int = 1) -> None:
    """Raises BoardllamaError for a model that the llama-server of llama.cpp `pin` would not serve in that role.

    `header`: of the model, or of the first of so many `parts`. `label` names the model in the error.
    """
    said = model_refusal(header, pin, role)
    count = part_count(header) or 1
    if count != parts:
        said = f"is one of {count} parts of a model: {ONE_FILE}" if parts == 1 else f"was split into {count} files"
    if said:
        raise BoardllamaError(f"{label} {said}")


def check_parts(headers: Sequence[Header], labels: Sequence[str], pin: str = PIN) -> None:
    """Raises BoardllamaError for a part that is out of its order, or whose tensors llama.cpp would not take."""
    for number, (header, label) in enumerate(zip(headers, labels, strict=True)):
        said = no_weights(header, pin) or misplaced_tensor(header)
        if (own := header.keys.get("split.no", 0)) != number:
            said = f"says that it is part {own}: must be {number}, counted from 0; fetch it again"
        if said:
            raise BoardllamaError(f"{label} {said}")


def check_companion(kind: FileKind, header: Header, label: str) -> None:
    """Raises BoardllamaError for a projector that is none, and for a draft that is no language model."""
    architecture = str(header.keys.get("general.architecture", ""))
    if kind is FileKind.PROJECTOR and not is_projector(header, architecture):
        raise BoardllamaError(f"{label} is no projector: its general.type is not mmproj; take the model's mmproj file")
    if kind is FileKind.DRAFT and (said := other_file(header, architecture)):
        raise BoardllamaError(f"{label} is to be a draft, and {said}")
