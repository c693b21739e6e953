"""Which model the settings of a host name, and which one suits a board."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from deploy.errors import BoardllamaError
from deploy.models import smoke
from deploy.models.catalogue.entries import CATALOGUE, FREE, catalogue_model
from deploy.models.gguf.model_headers import companion_bytes
from deploy.models.hub.hub_model import HubModel
from deploy.models.memory.estimate import Serving
from deploy.models.memory.fit import BoardMemory, can_fit
from deploy.models.model import Advice, Model, single_file
from deploy.models.own_file import OwnFile
from deploy.onboard.server.value_rules import ALIAS
from deploy.onboard.service import CHAT

AUTO, HUB, PATH, SMOKE = KINDS = ("auto", "hub", "path", "smoke")
# Per cent of a board's memory that the weights may have for "auto". Each token reads all of them: a model that just
# fits leaves no room for the copy that makes it fast, nor for anything else on the board.
WEIGHTS_SHARE = 60


def named_model(name: str | None, pin: HubModel | None, own_path: str) -> Model | None:
    """The model that a setting names; None when it names none, or leaves the choice to the board's memory (AUTO).

    `pin`: the file of a hub; `own_path`: the operator's own file. Raises BoardllamaError for an unknown name.
    """
    if name is None or name == AUTO:
        return None
    if name == HUB:
        assert pin
        return single_file(Path(pin.file).name, pin)
    if name == PATH:
        if not own_path:
            raise BoardllamaError("model is path, and model_path is empty: it must name the .gguf file to serve")
        return single_file(Path(own_path).name, OwnFile(own_path))
    return single_file(smoke.FILE, smoke.SmokeFile()) if name == SMOKE else catalogue_model(name, KINDS)


def require_possible_role(model: Model | None, role: str | None) -> None:
    """Raises BoardllamaError for a model of the catalogue that was made for another role, before it is fetched. What a
    chat model can, only its file says.
    """
    if model and role and model.role not in (CHAT, role):
        raise BoardllamaError(f"role is {role}: {model.name} is made for {model.role}; leave role out, or take another")


def advice_of(model: Model | None, reasoning: str | None, usual_context: int) -> dict[str, Any]:
    """What the publisher of a model recommends, by the names of settings; None: llama.cpp's own value is as good.

    `reasoning`: what the setting of that name says. `usual_context`: tokens of context for a model of which nothing is
    known. The name in the API is the model's own where that is another than its file's.
    """
    if model is None:
        return {**asdict(Advice()), "context_size": usual_context, "alias": None}
    advice = asdict(model.advice_for(reasoning))
    alias = model.name if model.name != model.main_file.name and ALIAS.holds(model.name) else None
    context = advice["context_size"] or usual_context
    return {**advice, "reasoning": model.advice.reasoning, "context_size": context, "alias": alias}


def free_chat_models() -> list[Model]:
    """The chat models that "auto" chooses from, the best one last.

    A model whose licence asks for more than Apache's or MIT's is for those who name it.
    """
    return [model for model in CATALOGUE.values() if model.role == "chat" and model.licence in FREE]


def suits_board(model: Model, serving: Serving, memory: BoardMemory) -> bool:
    """Whether a model of the catalogue fits, with room for the board's other work."""
    assert model.outline
    small_enough = model.size <= memory.total * WEIGHTS_SHARE // 100
    memory = replace(memory, companions=companion_bytes(model, serving))
    known_context = serving.context_size <= model.outline.context_length
    return small_enough and known_context and can_fit(model.outline.info_of_size(model.weights_size), serving, memory)
