"""Ollama's own client against a board: answered where the board offers Ollama's API, a plain 404 elsewhere."""

from collections.abc import Callable
from typing import Any

import ollama
import pytest
import requests

from tests.board.board import DEADLINE, Board

pytestmark = pytest.mark.role("chat")
MESSAGES = [{"role": "user", "content": "Is the lamp on or off?"}]
FEW = {"num_predict": 6}
# The client and a model that is served → something that is not empty.
CALLS: dict[str, Callable[[ollama.Client, str], Any]] = {
    "list": lambda client, _: client.list().models,
    "show": lambda client, model: client.show(model).model_dump(),
    "chat": lambda client, model: client.chat(model, MESSAGES, options=FEW).message.content,
    "stream": lambda client, model: "".join(
        part.message.content or "" for part in client.chat(model, MESSAGES, stream=True, options=FEW)
    ),
    "generate": lambda client, model: client.generate(model, "The lamp is", options=FEW).response,
}


@pytest.fixture
def client(url: str, board: Board) -> ollama.Client:
    headers = {"Authorization": f"Bearer {board.key}"} if board.key else {}
    return ollama.Client(url, headers=headers, timeout=DEADLINE)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_answered_or_not_there(name: str, client: ollama.Client, url: str, board: Board) -> None:
    model = board.ask("/v1/models").json["data"][0]["id"]
    if requests.get(f"{url}/api/version", timeout=DEADLINE).status_code != 404:  # 401 where a key is wanted
        assert CALLS[name](client, model)
        return
    with pytest.raises(ollama.ResponseError) as refused:
        CALLS[name](client, model)
    assert refused.value.status_code == 404
