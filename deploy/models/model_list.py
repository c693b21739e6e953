"""The setting `models`: several models at one address, each by its name or by a table of what is its own."""

import re
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from deploy.errors import BoardllamaError
from deploy.onboard.service import OLLAMA, Service, service_beside

# Seconds without a request after which a model on demand gives its memory back.
ON_DEMAND_SECONDS = 300
# From the port of the front to that of the first server behind it.
BEHIND = 10
LAST_PORT = 65535


class ListedModel(BaseModel):
    """An entry of `models`. What is None is as the model has it, or as the setting of that name says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1)
    role: Literal["chat", "embed", "rerank"] | None = None
    alias: str | None = None
    context_size: int | None = None
    start: Literal["boot", "on_demand"] = "boot"

    @model_validator(mode="before")
    @classmethod
    def _name_alone_is_a_table(cls, told: Any) -> Any:
        return {"model": told} if isinstance(told, str) else told

    @field_validator("model")
    @classmethod
    def _is_a_name(cls, model: str) -> str:
        if model == "auto":
            raise ValueError("auto chooses one model for the whole board: name each model of a list")
        return model

    @property
    def own_settings(self) -> dict[str, Any]:
        """The settings of a host that serves this model alone, as far as this entry says them."""
        is_file = self.model.startswith(("/", "~"))
        said: dict[str, Any] = {"model": "path", "model_path": self.model} if is_file else {"model": self.model}
        if self.start == "on_demand":
            said["sleep_after"] = ON_DEMAND_SECONDS
        alias = self.alias or (self.model if not is_file and self.model not in ("hub", "path", "smoke") else None)
        own = {"role": self.role, "alias": alias, "context_size": self.context_size}
        return said | {name: value for name, value in own.items() if value is not None}


def ports_behind(front: int, count: int) -> range:
    """The ports of so many servers behind a front. Raises BoardllamaError when there are none so high."""
    ports = range(front + BEHIND, front + BEHIND + count)
    if ports[-1] > LAST_PORT:
        used = f"behind a front at {front} ports {ports[0]} to {ports[-1]} would be used, and {LAST_PORT} is the last"
        raise BoardllamaError(f"server_port is {front}: {used}; take {LAST_PORT - BEHIND - count + 1} or less")
    return ports


def services_behind(names: list[str], roles: list[str], ports: range) -> list[Service]:
    """The servers behind a front, by the names of their models. The first has the unit that users know.

    Raises BoardllamaError for two models of one name.
    """
    short = [unit_part(name) for name in names]
    for number, name in enumerate(short):
        if name in short[:number]:
            both = f"{names[short.index(name)]} and {names[number]}"
            raise BoardllamaError(f"models: {both} have the same name: give one of them an alias of its own")
    beside = [service_beside(*one) for one in zip(short, roles, ports, strict=True)]
    return [replace(OLLAMA, role=roles[0], port=ports[0]), *beside[1:]]


def unit_part(name: str) -> str:
    """What of a name may stand in the name of a unit."""
    return re.sub(r"[^a-z0-9]+", "-", PurePosixPath(name).name.removesuffix(".gguf").lower()).strip("-")[:60]
