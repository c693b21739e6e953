"""Greedy answers of a chat model, token by token, and how two answers to one question differ."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import requests

LIKELY = 5  # how many tokens of each step are told


class Step(NamedTuple):
    """One token of an answer, and the log probabilities of the likeliest tokens in its place."""

    token: str
    likely: dict[str, float]


def greedy_request(question: str, tokens: int) -> dict[str, Any]:
    """The body of /v1/chat/completions that asks for the likeliest token each time."""
    messages = [{"role": "user", "content": question}]
    return {
        "messages": messages,
        "max_tokens": tokens,
        "temperature": 0,
        "repeat_penalty": 1.0,
        "logprobs": True,
        "top_logprobs": LIKELY,
        "cache_prompt": False,  # what was read before was read in other parts, and sums differ in the last bits
    }


def greedy_steps(answer: Any) -> list[Step]:
    """The steps of an answer to such a request."""
    found = answer["choices"][0]["logprobs"]["content"]
    return [Step(step["token"], {top["token"]: top["logprob"] for top in step["top_logprobs"]}) for step in found]


def ask_greedily(url: str, question: str, tokens: int, deadline: float) -> list[Step]:
    """The answer of the server at url, within `deadline` seconds."""
    response = requests.post(f"{url}/v1/chat/completions", json=greedy_request(question, tokens), timeout=deadline)
    response.raise_for_status()
    return greedy_steps(response.json())


def said(steps: Sequence[Step]) -> str:
    """The text of an answer."""
    return "".join(step.token for step in steps)


def distance(left: Sequence[Step], right: Sequence[Step]) -> float:
    """The largest difference of a chosen token's log probability, up to where the answers part.

    Both were computed from the same tokens so far. Infinite when one's choice is not likely to the other.
    """
    largest = 0.0
    for one, other in zip(left, right, strict=False):
        for token in (one.token, other.token):
            seen = [step.likely.get(token, -math.inf) for step in (one, other)]
            largest = max(largest, abs(seen[0] - seen[1]))
        if one.token != other.token:
            break
    return largest
