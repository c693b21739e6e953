"""Which server answers a request: by the model that it names, by its path, else the first."""

import json
import socket
from collections.abc import Generator
from typing import NamedTuple

from ..wire.message import Declined
from ..wire.talk import Ready, Wait, connect_server
from .request import model_named

EMBED = ("/embedding", "/embeddings", "/v1/embeddings")
RERANK = ("/rerank", "/reranking", "/v1/rerank", "/v1/reranking")
ROLE_OF_PATH = {**dict.fromkeys(EMBED, "embed"), **dict.fromkeys(RERANK, "rerank")}
LISTS = ("/v1/models", "/models")


class Route(NamedTuple):
    """A server behind the front, on this machine. `name`: of its model in the API. `file`: the model's file name.

    `slots`: how many requests it works on at once. `prefix`: of the paths that are all its own; "" for none. `started`:
    the file whose first line says where the server has listened since its last start.
    """

    name: str
    file: str
    role: str
    port: int
    slots: int
    prefix: str = ""
    started: str = ""


def choose_route(routes: list[Route], path: str, body: bytes | bytearray) -> Route:
    """The server for a request. A path with an owner, then the model's name, then the role that the path asks for.

    A request without a body names its model in the address, as llama-server's own router has it: /metrics?model=NAME.
    """
    if owner := find_owner(routes, path):
        return owner
    serving = [route for route in routes if not route.prefix]
    model = (model_named(body) or model_asked(path)) if len(serving) > 1 else None
    named = next((route for route in serving if model and model in (route.name, route.file)), None)
    role = ROLE_OF_PATH.get(path.partition("?")[0], "chat")
    return named or next((route for route in serving if route.role == role), serving[0])


def model_asked(path: str) -> str | None:
    """The model that the address of a request names; None without one."""
    query = path.partition("?")[2]
    if "model=" not in query:
        return None
    from urllib.parse import parse_qs  # 1 MB, of which most boards need nothing

    return parse_qs(query).get("model", [None])[0]


def connect_route(route: Route) -> Generator[Wait, Ready, socket.socket]:
    """A connection to the server, also where its config.json got another port since. Raises OSError."""
    try:
        return (yield from connect_server(route.port))
    except ConnectionRefusedError:
        port = noted_port(route)
        if port == route.port:
            raise
    return (yield from connect_server(port))


def noted_port(route: Route) -> int:
    """The port that the server noted when it was started; that of the route without a note."""
    from pathlib import Path  # it takes 1 MB, and few boards need it

    try:
        return int(Path(route.started).read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return route.port


def find_owner(routes: list[Route], path: str) -> Route | None:
    """The server that all requests to a path like this belong to."""
    return next((route for route in routes if route.prefix and path.startswith(route.prefix)), None)


def error_body(routes: list[Route], path: str, declined: Declined) -> bytes:
    """An error of the front: in Ollama's form where the path has an owner, else in llama-server's, with its words for
    `type` (format_error_response in tools/server/server-common.cpp).
    """
    said, kind = str(declined), "invalid_request_error" if declined.status < 500 else "unavailable_error"
    error = said if find_owner(routes, path) else {"code": declined.status, "message": said, "type": kind}
    return json.dumps({"error": error}).encode()


def model_list(routes: list[Route]) -> bytes:
    """The answer to GET /v1/models: names alone, in the shapes of OpenAI's API (data) and Ollama's (models)."""
    names = [route.name for route in routes if not route.prefix]
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "boardllama"} for name in names]
    models = [{"name": name, "model": name} for name in names]
    return json.dumps({"object": "list", "data": data, "models": models}).encode()
