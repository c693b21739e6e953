"""Texts that become vectors, by the official client of Ollama."""

import json
from pathlib import Path

import ollama
import pytest

from tests.answers import Answer, Request, answering
from tests.unit.ollama_api import EMBEDDER, OllamaApi, api, running_api, said
from tests.unit.test_ollama_client import client

__all__ = ["api"]


def test_texts_become_vectors(api: OllamaApi) -> None:
    answer = client(api).embed(EMBEDDER, ["a", "b"])
    assert [list(vector) for vector in answer.embeddings] == [
        [-0.0123, -0.0186, 0.0014, 0.0236],
        [-0.0126, -0.0192, 0.0016, 0.0237],
    ]
    assert answer.prompt_eval_count == 2
    assert list(client(api).embeddings(EMBEDDER, "a").embedding) == [-0.0123, -0.0186, 0.0014, 0.0236]


def test_many_texts_are_asked_for_in_batches(api: OllamaApi) -> None:
    client(api).embed(EMBEDDER, [str(number) for number in range(20)])
    assert [len(body["input"]) for body in api.asked("/v1/embeddings")] == [8, 8, 4]


def short_only(request: Request) -> Answer:
    """A server of 3 tokens: each letter of a text is one."""
    body = json.loads(request.body or b"{}")
    if request.path == "/tokenize":
        return Answer(body=json.dumps({"tokens": [ord(letter) for letter in body["content"]]}).encode())
    if request.path == "/v1/models":
        return Answer(body=json.dumps({"data": [{"meta": {"n_ctx": 3}}]}).encode())
    if max(map(len, body["input"])) > 3:
        return said(500, "input (4 tokens) is too large to process. increase the physical batch size")
    return Answer(body=json.dumps({"data": [{"index": 0, "embedding": body["input"][0]}]}).encode())


def test_a_text_that_is_too_long_is_cut_but_for_its_last_token(tmp_path: Path) -> None:
    with answering(short_only) as upstream, running_api(tmp_path, upstream) as api:
        assert list(client(api).embed(EMBEDDER, "abcd").embeddings[0]) == [ord(letter) for letter in "abd"]
        with pytest.raises(ollama.ResponseError, match="too large to process"):
            client(api).embed(EMBEDDER, "abcd", truncate=False)
