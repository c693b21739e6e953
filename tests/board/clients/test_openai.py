"""OpenAI's own client against a board: `make verify CLIENTS=1`."""

import json
from collections.abc import Callable

import openai
import pytest
from openai.types.chat import (
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
    ChatCompletionToolParam,
)

from deploy.models import smoke
from tests.board.board import DEADLINE, Board

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Is the lamp on or off?"}]
STATE: dict[str, object] = {"type": "object", "properties": {"state": {"enum": ["on", "off"]}}, "required": ["state"]}
LAMP: ChatCompletionToolParam = {"type": "function", "function": {"name": "turn_lamp", "parameters": STATE}}
MODEL = "any"  # a name that is not there means the first model of the role
pytestmark = pytest.mark.role("chat")
Connect = Callable[[str], openai.OpenAI]


@pytest.fixture
def connect_with(url: str) -> Connect:
    """A client with a key."""
    return lambda key: openai.OpenAI(base_url=f"{url}/v1", api_key=key, timeout=DEADLINE, max_retries=0)


@pytest.fixture
def client(connect_with: Connect, board: Board) -> openai.OpenAI:
    return connect_with(board.key or "none")


def test_it_lists_what_is_served(client: openai.OpenAI) -> None:
    models = list(client.models.list())
    assert models
    assert all(model.id and model.object == "model" and "/" not in model.id for model in models)


def test_it_chats(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=6)
    assert answer.choices[0].message.content
    assert answer.usage and answer.usage.completion_tokens


def test_it_streams(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=6, stream=True))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert len(choices) > 2
    assert "".join(choice.delta.content or "" for choice in choices)
    assert choices[-1].finish_reason in ("stop", "length")


def test_an_answer_keeps_to_a_schema(client: openai.OpenAI) -> None:
    def answer_by_schema() -> str:
        answer = client.chat.completions.create(
            model=MODEL,
            messages=MESSAGES,
            max_tokens=40,
            response_format={"type": "json_schema", "json_schema": {"name": "lamp", "schema": STATE}},
        )
        return answer.choices[0].message.content or ""

    if next(iter(client.models.list())).id == smoke.FILE:  # llama.cpp makes no grammar with its vocabulary
        with pytest.raises(openai.BadRequestError, match="samplers"):
            answer_by_schema()
        return
    assert json.loads(answer_by_schema())["state"] in ("on", "off")


def test_tools_are_taken_and_calls_are_as_their_schema_says(client: openai.OpenAI) -> None:
    """Whether a tool is called is the model's choice: a small one rather talks."""
    answer = client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=30, tools=[LAMP])
    message = answer.choices[0].message
    assert message.content or message.tool_calls
    for call in message.tool_calls or ():
        assert isinstance(call, ChatCompletionMessageFunctionToolCall)
        assert call.function.name == "turn_lamp"
        assert json.loads(call.function.arguments)["state"] in ("on", "off")


def test_embeddings_are_made_by_a_model_for_them_alone(client: openai.OpenAI) -> None:
    try:
        made = client.embeddings.create(model=MODEL, input=["a lamp", "a light"])
    except openai.APIStatusError as refused:
        assert refused.status_code == 501
        assert "--embeddings" in str(refused)
    else:
        assert [len(row.embedding) > 100 for row in made.data] == [True, True]


def test_a_wrong_key_is_refused_where_there_is_one(connect_with: Connect, board: Board) -> None:
    client = connect_with("wrong")
    if not board.key:
        assert client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=1).choices
        return
    with pytest.raises(openai.AuthenticationError, match="Invalid API Key"):
        client.chat.completions.create(model=MODEL, messages=MESSAGES, max_tokens=1)
