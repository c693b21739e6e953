"""What a server is asked before its release is let in, by the role of its model, and how fast it answered."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..server.health import Unhealthy, ask_server
from ..service import CHAT, EMBED, FRONT, OLLAMA_API, RERANK

PROMPT = "The quick brown fox"
TOKENS = 16
# Seconds, where no floor is set: a small board with a large model may be slow, but a server that hangs is not awaited.
ANSWER_DEADLINE = 300.0
# Two that mean the same, and one that means something else; a question, an answer to it, and none.
ALIKE = ("A cat sits on the mat.", "A kitten is sitting on a rug.", "The stock market fell sharply today.")
ANSWERS = ("How many legs does a spider have?", "A spider has eight legs.", "The train to Berlin leaves at noon.")


def ask_by_role(role: str, url: str, floor: float, key: str | None) -> float | None:
    """Asks a server what its role says. Returns tokens per second; None for one without a model.

    Raises Unhealthy with the reason.
    """
    return QUESTIONS[role](url, floor, key)


def measure_speed(url: str, floor: float, key: str | None) -> float:
    """Tokens of an answer over the seconds of the whole request, prompt included. Raises Unhealthy below the floor."""
    question = {"prompt": PROMPT, "max_tokens": TOKENS, "temperature": 0.0, "ignore_eos": True}
    deadline = min(ANSWER_DEADLINE, 10 + 3 * TOKENS / floor) if floor else ANSWER_DEADLINE
    began = time.monotonic()
    body = ask_well(url, "/v1/completions", question, key, "a completion", deadline)
    seconds = time.monotonic() - began
    text, tokens = answer_of(body)
    if not text.strip():
        raise Unhealthy(f"a completion came back without text: {str(body)[:200]}")
    if tokens / seconds < floor:
        raise Unhealthy(
            f"{tokens} tokens took {seconds:.1f} s, {tokens / seconds:.2f} tokens/s: "
            f"min_tokens_per_second is {floor:g}; lower it, or choose a smaller model or quantization"
        )
    return tokens / seconds


def compare_vectors(url: str, _floor: float, key: str | None) -> float:
    """Asks for the vectors of ALIKE. Returns tokens read per second. Raises Unhealthy when what means the same lies
    no nearer than what does not.
    """
    began = time.monotonic()
    body = ask_well(url, "/v1/embeddings", {"input": ALIKE}, key, "an embedding")
    seconds = time.monotonic() - began
    try:
        same, other, foreign = (one["embedding"] for one in sorted(body["data"], key=lambda one: int(one["index"])))
        near, far = cosine(same, other), cosine(same, foreign)
        tokens = int(body["usage"]["prompt_tokens"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        raise Unhealthy(f"an embedding came back without three vectors: {str(body)[:200]}") from None
    if not near > far:
        raise Unhealthy(
            f"two sentences of one meaning are {near:.2f} alike, and two of different meanings {far:.2f}: this is no "
            "model for embeddings, or its file is damaged"
        )
    return tokens / seconds


def compare_scores(url: str, _floor: float, key: str | None) -> float:
    """Asks for the scores of two ANSWERS. Returns tokens read per second. Raises Unhealthy when the wrong one wins."""
    question, *documents = ANSWERS
    began = time.monotonic()
    body = ask_well(url, "/v1/rerank", {"query": question, "documents": documents}, key, "a rerank")
    seconds = time.monotonic() - began
    try:
        scores = {int(one["index"]): float(one["relevance_score"]) for one in body["results"]}
        right, wrong, tokens = scores[0], scores[1], int(body["usage"]["prompt_tokens"])
    except (KeyError, TypeError, ValueError):
        raise Unhealthy(f"a rerank came back without two scores: {str(body)[:200]}") from None
    if not right > wrong:
        raise Unhealthy(
            f"the answer to a question scores {right:.2f}, and a sentence that is none {wrong:.2f}: this is no "
            "reranker, or its file is damaged"
        )
    return tokens / seconds


def list_models(url: str, _floor: float, key: str | None) -> None:
    """Asks the front for the names of its models. Raises Unhealthy when it has none."""
    body = ask_well(url, "/v1/models", None, key, "the list of models", 10)
    if not isinstance(body, dict) or not body.get("data"):
        raise Unhealthy(f"the list of models is empty: {str(body)[:200]}")


def ask_like_ollama(url: str, _floor: float, key: str | None) -> None:
    """Asks for the models as Ollama's clients do, and each that completes for two tokens. Raises Unhealthy."""
    listed = ask_well(url, "/api/tags", None, key, "the list of Ollama's API", 60)
    for name in [model["name"] for model in listed["models"]]:
        shown = ask_well(url, "/api/show", {"model": name}, key, f"a question about {name}", 60)
        if "completion" in shown["capabilities"]:
            question = {"model": name, "prompt": PROMPT, "raw": True, "stream": False, "options": {"num_predict": 2}}
            body = ask_well(url, "/api/generate", question, key, "a prompt of Ollama's API")
            if not body.get("done"):
                raise Unhealthy(f"a prompt of Ollama's API was not answered: {str(body)[:200]}")


def ask_well(url: str, path: str, question: Any, key: str | None, what: str, deadline: float = ANSWER_DEADLINE) -> Any:
    """The body of the answer. Raises Unhealthy when its status is another than 200; `what` was asked for."""
    status, body = ask_server(url, path, question, deadline, key)
    if status != 200:
        raise Unhealthy(f"{what} was answered with {status or 'nothing'}: {str(body)[:200]}")
    return body


def answer_of(body: Any) -> tuple[str, int]:
    """Text and number of tokens of a completion; "" and 0 for an answer that is no completion."""
    try:
        return str(body["choices"][0]["text"]), int(body["usage"]["completion_tokens"])
    except (KeyError, IndexError, TypeError, ValueError):
        return "", 0


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """How alike two vectors are: 1 for the same direction. Raises ZeroDivisionError for a vector of zeros."""
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))


QUESTIONS: dict[str, Callable[[str, float, str | None], float | None]] = {
    CHAT: measure_speed,
    EMBED: compare_vectors,
    RERANK: compare_scores,
    FRONT: list_models,
    OLLAMA_API: ask_like_ollama,
}
