"""/api/embed, and /api/embeddings before it: texts that become vectors."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from ..front.routes import Route
from ..wire.message import Declined
from .answers import json_bytes
from .call import Call

# Texts of one request upstream: their vectors are in memory at the same time.
BATCH = 8
# In llama-server's error for a text of more tokens than it reads at once.
TOO_LONG = "too large to process"


def answer_embed(call: Call) -> None:
    """The vectors of one text or of many, sent batch by batch: those of a whole book would fill the memory."""
    began, texts, route = time.monotonic(), input_texts(call.body.get("input")), call.find_route("embed")
    require_whole_vectors(call.body)
    tokens: list[int] = []
    batches = (texts[at : at + BATCH] for at in range(0, len(texts), BATCH))
    vectors = (embedded(call, route, batch, tokens) for batch in batches)
    call.reply.send_pieces(embed_pieces(call.name, vectors, tokens, began), "application/json; charset=utf-8")


def embed_pieces(name: str, vectors: Iterator[list[Any]], tokens: list[int], began: float) -> Iterator[bytes]:
    """The JSON of an answer, in pieces. `tokens` is filled as `vectors` come."""
    first = next(vectors, [])
    yield json_bytes({"model": name})[:-1] + b', "embeddings": [' + listed(first)
    for batch in vectors:
        yield b", " + listed(batch)
    counts = {"total_duration": int((time.monotonic() - began) * 1e9), "load_duration": 0}
    yield b"], " + json_bytes(counts | {"prompt_eval_count": sum(tokens)})[1:]


def listed(vectors: list[Any]) -> bytes:
    """The vectors as JSON, without the brackets around them."""
    return json_bytes(vectors)[1:-1]


def answer_embeddings(call: Call) -> None:
    """The vector of one text, in the older form."""
    text = call.body.get("prompt") or ""
    if not isinstance(text, str):
        raise Declined(400, "prompt must be a text")
    route = call.find_route("embed")
    vectors = embedded(call, route, [text], []) if text else [[]]
    call.reply.send_json({"embedding": vectors[0]})


def embedded(call: Call, route: Route, texts: list[str], tokens: list[int]) -> list[Any]:
    """The vectors of some texts. Adds the number of their tokens to `tokens`.

    As Ollama does, a text that is too long for the model is cut, unless the request says `truncate: false`.
    """
    try:
        return vectors_of(call, route, texts, tokens)
    except Declined as declined:
        if declined.status != 500 or TOO_LONG not in str(declined) or call.body.get("truncate") is False:
            raise
    most = call.describe(route)["meta"]["n_ctx"]
    return vectors_of(call, route, [cut_tokens(call, route, text, most) for text in texts], tokens)


def cut_tokens(call: Call, route: Route, text: str, most: int) -> list[int]:
    """The first tokens of a text, and the last, with which a model for embeddings ends each."""
    tokens: list[int] = call.fetch(route, "/tokenize", {"content": text, "add_special": True})["tokens"]
    return tokens if len(tokens) <= most else [*tokens[: most - 1], tokens[-1]]


def vectors_of(call: Call, route: Route, texts: Sequence[str | list[int]], tokens: list[int]) -> list[Any]:
    """As `embedded`, for texts, or their tokens, that are no longer than the model takes."""
    answer = call.fetch(route, "/v1/embeddings", {"model": route.name, "input": texts, "encoding_format": "float"})
    tokens.append((answer.get("usage") or {}).get("prompt_tokens") or 0)
    return [one["embedding"] for one in sorted(answer["data"], key=lambda one: one["index"])]


def input_texts(given: Any) -> list[str]:
    """The texts of `input`. Raises Declined when they are none."""
    texts = [given] if isinstance(given, str) and given else given or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Declined(400, "input must be a text or a list of texts")
    return texts


def require_whole_vectors(request: dict[str, Any]) -> None:
    """Raises Declined for shorter vectors than the model makes: few models were trained to be cut."""
    if request.get("dimensions"):
        raise Declined(400, "dimensions is not supported: cut and normalize the vectors where they are used")
