"""Which models are brought to a target: only models that its llama-server serves, by the board's own rules."""

from deploy.errors import BoardllamaError
from deploy.onboard.gguf.architectures import PIN
from deploy.onboard.gguf.chat_models import ONE_FILE, model_refusal, part_count
from deploy.onboard.gguf.header import Header
from deploy.onboard.service import CHAT


def check_architecture(header: Header, label: str, role: str = CHAT, pin: str = PIN) -> None:
    """Raises BoardllamaError for a model that the llama-server of llama.cpp `pin` would not serve in that role.

    `label` names the model in the error.
    """
    said = model_refusal(header, pin, role)
    if count := part_count(header):
        said = f"is one of {count} parts of a model: {ONE_FILE}"
    if said:
        raise BoardllamaError(f"{label} {said}")
