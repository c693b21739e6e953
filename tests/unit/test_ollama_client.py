"""The official client of Ollama makes each of its kinds of calls, and reads each answer."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import ollama
import pytest

from tests.unit.ollama_api import CHAT, EMBEDDER, KEY, OllamaApi, api, thinking_api

__all__ = ["api", "thinking_api"]

ASK = [{"role": "user", "content": "What is 2+2? Answer with one number."}]
LIGHT = {
    "type": "function",
    "function": {"name": "light", "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}}},
}
HEADERS = {"Authorization": f"Bearer {KEY}"}


def client(api: OllamaApi) -> Any:
    """The client, with the key of the board. Untyped: its overloads want each way of calling by itself."""
    return ollama.Client(host=api.url, headers=HEADERS)


def test_models_are_listed_with_tag_size_and_kind(api: OllamaApi) -> None:
    first, second = client(api).list().models
    assert (first.model, second.model) == (f"{CHAT}:latest", f"{EMBEDDER}:latest")
    assert first.details
    assert (first.size, first.details.parameter_size, first.details.quantization_level) == (96576768, "134.52M", "Q4_1")
    assert first.digest and len(first.digest) == 64


def test_a_model_in_memory_never_expires(api: OllamaApi) -> None:
    model = client(api).ps().models[0]
    assert (model.name, model.context_length) == (f"{CHAT}:latest", 2048)
    assert model.expires_at and model.expires_at > datetime(2200, 1, 1, tzinfo=timezone.utc)


def test_a_model_is_shown_with_what_it_can_do(api: OllamaApi, thinking_api: OllamaApi) -> None:
    shown = client(api).show(CHAT)
    assert shown.capabilities == ["completion"]
    assert shown.parameters == "num_ctx 2048"
    assert shown.modelinfo and shown.modelinfo["general.parameter_count"] == 134515008
    assert client(api).show(f"{EMBEDDER}:latest").capabilities == ["embedding"]
    assert client(thinking_api).show(CHAT).capabilities == ["completion", "tools", "vision", "thinking"]


def test_a_chat_is_answered_whole(api: OllamaApi) -> None:
    answer = client(api).chat(CHAT, ASK)
    assert answer.message.content == "The answer is 4."
    assert (answer.done, answer.done_reason, answer.prompt_eval_count, answer.eval_count) == (True, "stop", 42, 7)
    assert answer.eval_duration and answer.prompt_eval_duration and answer.total_duration
    assert answer.eval_duration > 10_000_000  # nanoseconds


def test_a_chat_is_answered_in_pieces(api: OllamaApi) -> None:
    pieces = list(client(api).chat(CHAT, ASK, stream=True))
    assert [piece.message.content for piece in pieces] == ["The", " answer", " is", " ", "4", ".", ""]
    assert [piece.done for piece in pieces] == [False] * 6 + [True]


def test_the_asynchronous_client_reads_the_same(api: OllamaApi) -> None:
    async def talk() -> str:
        pieces = await ollama.AsyncClient(host=api.url, headers=HEADERS).chat(CHAT, ASK, stream=True)
        return "".join([piece.message.content or "" async for piece in pieces])

    assert asyncio.run(talk()) == "The answer is 4."


@pytest.mark.parametrize("stream", [True, False])
def test_a_tool_is_called_with_an_object(api: OllamaApi, stream: bool) -> None:
    answers = client(api).chat(CHAT, ASK, tools=[LIGHT], stream=stream)
    pieces = list(answers) if stream else [answers]
    calls = [call for piece in pieces for call in piece.message.tool_calls or ()]
    assert [(call.function.name, call.function.arguments) for call in calls] == [("light", {"on": True})]
    assert pieces[-1].done_reason == "stop"
    assert api.asked("/v1/chat/completions")[0]["tools"] == [LIGHT]


def test_a_result_of_a_tool_goes_to_its_call(api: OllamaApi) -> None:
    def called(name: str) -> dict[str, object]:
        return {"function": {"name": name, "arguments": {"on": True}}}

    asked = {"role": "assistant", "content": "", "tool_calls": [called("light"), called("door")]}
    results = [{"role": "tool", "tool_name": "door", "content": "open"}, {"role": "tool", "content": "on"}]
    client(api).chat(CHAT, [*ASK, asked, *results])
    _, assistant, door, light = api.asked("/v1/chat/completions")[0]["messages"]
    ids = {call["function"]["name"]: call["id"] for call in assistant["tool_calls"]}
    assert len(set(ids.values())) == 2
    assert [call["function"]["arguments"] for call in assistant["tool_calls"]] == ['{"on": true}'] * 2
    assert (door["tool_call_id"], light["tool_call_id"]) == (ids["door"], ids["light"])


def test_thinking_is_told_apart_from_the_answer(thinking_api: OllamaApi) -> None:
    answer = client(thinking_api).chat(CHAT, ASK, think=True)
    assert (answer.message.thinking, answer.message.content) == ("\n\nThe answer is:", "")
    assert answer.done_reason == "length"
    pieces = client(thinking_api).generate(CHAT, "2+2?", think="high", stream=True)
    assert "".join(piece.thinking or "" for piece in pieces) == "\n\nThe answer is:"
    asked = thinking_api.asked("/v1/chat/completions")
    assert [body["chat_template_kwargs"] for body in asked] == [{"enable_thinking": True}] * 2
    assert [body.get("reasoning_effort") for body in asked] == [None, "high"]


def test_thinking_is_switched_off_for_every_model_and_on_only_where_it_is(api: OllamaApi) -> None:
    client(api).chat(CHAT, ASK, think=False)
    assert api.asked("/v1/chat/completions")[0]["reasoning_effort"] == "none"
    with pytest.raises(ollama.ResponseError, match=f'"{CHAT}" does not support thinking'):
        client(api).chat(CHAT, ASK, think=True)


@pytest.mark.parametrize(
    ("wanted", "schema"), [("json", {"type": "object"}), ({"type": "integer"}, {"type": "integer"})]
)
def test_a_format_becomes_a_schema(api: OllamaApi, wanted: object, schema: object) -> None:
    client(api).chat(CHAT, ASK, format=wanted)
    client(api).generate(CHAT, "2+2?", format=wanted, raw=True)
    assert api.asked("/v1/chat/completions")[0]["response_format"] == {"type": "json_object", "schema": schema}
    assert api.asked("/completion")[0]["json_schema"] == schema


def test_a_prompt_becomes_a_chat(api: OllamaApi) -> None:
    answer = client(api).generate(CHAT, "What is 2+2?", system="Be brief.")
    assert (answer.response, answer.done_reason, answer.eval_count) == ("The answer is 4.", "stop", 7)
    system, user = api.asked("/v1/chat/completions")[0]["messages"]
    assert (system, user) == (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is 2+2?"},
    )


def test_a_raw_prompt_is_continued_as_it_stands(api: OllamaApi) -> None:
    pieces = list(client(api).generate(CHAT, "The quick brown fox", raw=True, stream=True, options={"num_predict": 4}))
    assert "".join(piece.response for piece in pieces) == " with a quick brown"
    assert (pieces[-1].done_reason, pieces[-1].prompt_eval_count, pieces[-1].eval_count) == ("length", 4, 4)
    asked = api.asked("/completion")[0]
    assert (asked["prompt"], asked["n_predict"]) == ("The quick brown fox", 4)


def test_a_gap_is_the_model_s_to_fill(api: OllamaApi) -> None:
    with pytest.raises(ollama.ResponseError, match="Infill is not supported by this model") as refused:
        client(api).generate(CHAT, "def f(", suffix="return 1")
    assert refused.value.status_code == 501
    asked = api.asked("/infill")[0]
    assert (asked["input_prefix"], asked["input_suffix"]) == ("def f(", "return 1")


def test_a_picture_goes_beside_the_text(api: OllamaApi) -> None:
    client(api).generate(CHAT, "What is this?", images=[b"\x89PNG picture"])
    client(api).chat(CHAT, [{**ASK[0], "images": [b"\x89PNG picture"]}])
    for body in api.asked("/v1/chat/completions"):
        text, image = body["messages"][0]["content"]
        assert text["type"] == "text"
        assert image == {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORyBwaWN0dXJl"}}


def test_options_of_a_request_reach_the_server_and_those_of_a_start_do_not(api: OllamaApi) -> None:
    options = {"temperature": 0.5, "top_k": 7, "min_p": 0.1, "seed": 3, "stop": ["\n"], "repeat_penalty": 1.2}
    client(api).chat(CHAT, ASK, options={**options, "num_predict": 9, "num_ctx": 32768, "num_thread": 8})
    asked = api.asked("/v1/chat/completions")[0]
    assert {name: asked[name] for name in options} == options
    assert asked["max_tokens"] == 9
    assert not {"num_ctx", "num_thread", "num_predict", "options"} & set(asked)


def test_a_model_that_is_here_is_pulled_at_once(api: OllamaApi) -> None:
    assert client(api).pull(CHAT).status == "success"
    steps = [step.status for step in client(api).pull(f"{CHAT}:latest", stream=True)]
    assert (steps[0], steps[-1]) == ("pulling manifest", "success")
    with pytest.raises(ollama.ResponseError, match="'llama3' not found: this board serves smollm2-135m:latest"):
        client(api).pull("llama3")


def test_a_request_without_words_loads_or_unloads(api: OllamaApi) -> None:
    assert client(api).generate(CHAT, "", keep_alive=0).done_reason == "unload"
    assert client(api).generate(CHAT).done_reason == "load"
    assert client(api).chat(CHAT).done_reason == "load"


CHANGES: dict[str, Callable[[ollama.Client], object]] = {
    "create": lambda client: client.create("mine", from_=CHAT),
    "copy": lambda client: client.copy(CHAT, "mine"),
    "push": lambda client: client.push(CHAT),
    "delete": lambda client: client.delete(CHAT),
    "blob": lambda client: client.create_blob(__file__),
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_client_changes_what_a_board_serves(api: OllamaApi, change: str) -> None:
    with pytest.raises(ollama.ResponseError, match="this board serves what its deploy brought") as refused:
        CHANGES[change](client(api))
    assert refused.value.status_code == 501


def test_a_client_without_the_key_gets_nothing(api: OllamaApi) -> None:
    stranger = ollama.Client(host=api.url)
    calls: list[Callable[[], object]] = [
        stranger.list,
        stranger.ps,
        lambda: stranger.show(CHAT),
        lambda: stranger.chat(CHAT, ASK),
        lambda: stranger.chat("llama3", ASK),
        lambda: stranger.generate(CHAT, ""),
        lambda: stranger.embed(EMBEDDER, "a"),
        lambda: stranger.pull(CHAT),
        lambda: stranger.delete(CHAT),
    ]
    for call in calls:
        with pytest.raises(ollama.ResponseError, match="Invalid API Key") as refused:
            call()
        assert refused.value.status_code == 401


def test_a_model_has_the_calls_of_its_role(api: OllamaApi) -> None:
    with pytest.raises(ollama.ResponseError, match="its role is embed"):
        client(api).chat(EMBEDDER, ASK)
    with pytest.raises(ollama.ResponseError, match="its role is chat"):
        client(api).embed(CHAT, "a")
