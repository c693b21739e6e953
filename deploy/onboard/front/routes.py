"""Which server answers a request: by the model that it names, by its path, else the first."""

import json
from typing import NamedTuple

EMBED = ("/embedding", "/embeddings", "/v1/embeddings")
RERANK = ("/rerank", "/reranking", "/v1/rerank", "/v1/reranking")
ROLE_OF_PATH = {**dict.fromkeys(EMBED, "embed"), **dict.fromkeys(RERANK, "rerank")}
LISTS = ("/v1/models", "/models")


class Route(NamedTuple):
    """A server behind the front, on this machine. `name`: of its model in the API. `file`: the model's file name.

    `slots`: how many requests it works on at once. `prefix`: of the paths that are all its own; "" for none.
    """

    name: str
    file: str
    role: str
    port: int
    slots: int
    prefix: str = ""


def choose_route(routes: list[Route], path: str, model: str | None) -> Route:
    """The server for a request. A path with an owner, then the model's name, then the role that the path asks for."""
    plain = path.partition("?")[0]
    owner = next((route for route in routes if route.prefix and plain.startswith(route.prefix)), None)
    serving = [route for route in routes if not route.prefix]
    named = next((route for route in serving if model and model in (route.name, route.file)), None)
    role = ROLE_OF_PATH.get(plain, "chat")
    return owner or named or next((route for route in serving if route.role == role), serving[0])


def model_list(routes: list[Route]) -> bytes:
    """The answer to GET /v1/models: names alone, in the shapes of OpenAI's API (data) and Ollama's (models)."""
    names = [route.name for route in routes if not route.prefix]
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "boardllama"} for name in names]
    models = [{"name": name, "model": name} for name in names]
    return json.dumps({"object": "list", "data": data, "models": models}).encode()
