"""Clients that people have: the requests that their sources make, in their order, and what they read of each answer.

Home Assistant: homeassistant/components/ollama (config_flow.py, coordinator.py, entity.py). Open WebUI:
backend/open_webui/routers/ollama.py. Continue: core/llm/llms/Ollama.ts.
"""

from datetime import datetime
from typing import Any

import ollama
import pytest
import requests

from tests.unit.ollama_api import CHAT, EMBEDDER, KEY, OllamaApi, api, thinking_api

__all__ = ["api", "thinking_api"]

HEADERS = {"Authorization": f"Bearer {KEY}"}
TURN_ON = {
    "type": "function",
    "function": {
        "name": "HassTurnOn",
        "description": "Turns on/opens a device or entity",
        "parameters": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    },
}


def test_home_assistant_is_set_up(api: OllamaApi) -> None:
    with pytest.raises(ollama.ResponseError) as refused:
        ollama.Client(host=api.url).list()
    assert refused.value.status_code in (401, 403)  # "invalid_auth": it asks for the key
    client = ollama.Client(host=api.url, headers=HEADERS)
    installed = {model["model"] for model in client.list().get("models", [])}
    assert f"{CHAT}:latest" in installed
    with pytest.raises(ollama.ResponseError):  # "download_failed"
        client.pull("qwen3:4b")


def test_home_assistant_talks(thinking_api: OllamaApi) -> None:
    client = ollama.Client(host=thinking_api.url, headers=HEADERS)
    messages = [
        ollama.Message(role="system", content="You are a voice assistant for Home Assistant."),
        ollama.Message(role="user", content="Turn on the light"),
    ]
    told: dict[str, Any] = {"keep_alive": -1, "options": {"num_ctx": 8192}, "think": False, "format": None}
    first = list(client.chat(model=f"{CHAT}:latest", messages=messages, tools=[TURN_ON], stream=True, **told))
    (call,) = [call for piece in first for call in piece["message"].get("tool_calls") or ()]
    assert dict(call["function"]["arguments"]) == {"on": True}
    result = ollama.Message(role="tool", content='{"data": {"success": true}, "error": null}')
    asked = ollama.Message(role="assistant", content="", tool_calls=[call])
    second = list(client.chat(model=CHAT, messages=[*messages, asked, result], tools=None, stream=True, **told))
    assert "".join(piece["message"].get("content") or "" for piece in second) == "The answer is 4."
    system, user, assistant, tool = thinking_api.asked("/v1/chat/completions")[1]["messages"]
    assert (system["role"], user["role"]) == ("system", "user")
    assert tool["tool_call_id"] == assistant["tool_calls"][0]["id"]


def test_home_assistant_fills_in_a_form(thinking_api: OllamaApi) -> None:
    schema = {"type": "object", "properties": {"animal": {"type": "string"}}, "required": ["animal"]}
    client = ollama.Client(host=thinking_api.url, headers=HEADERS)
    message = ollama.Message(role="user", content="What is in the picture?", images=[ollama.Image(value=b"\x89PNG")])
    list(client.chat(CHAT, [message], stream=True, format=schema, think=False, keep_alive="300s"))
    asked = thinking_api.asked("/v1/chat/completions")[0]
    assert asked["response_format"]["schema"] == schema
    assert asked["reasoning_effort"] == "none"
    assert asked["messages"][0]["content"][1]["type"] == "image_url"


def test_open_webui_connects_and_lists(api: OllamaApi) -> None:
    version = requests.get(f"{api.url}/api/version", headers=HEADERS, timeout=60).json()["version"]
    assert all(part.isdigit() for part in version.split("."))  # it compares the parts as numbers
    refused = requests.get(f"{api.url}/api/version", headers={"Authorization": "Bearer wrong"}, timeout=60)
    assert (refused.status_code, refused.json()["error"]) == (401, "Invalid API Key")
    models = requests.get(f"{api.url}/api/tags", headers=HEADERS, timeout=60).json()["models"]
    loaded = requests.get(f"{api.url}/api/ps", headers=HEADERS, timeout=60).json()["models"]
    expires = {model["name"]: model["expires_at"] for model in loaded}
    for model in models:
        assert datetime.fromisoformat(expires[model["name"]].replace("Z", "+00:00")).timestamp() > 0
        assert model["model"] and model["digest"] and model["details"]


def test_open_webui_streams_a_chat(api: OllamaApi) -> None:
    body = {
        "model": f"{CHAT}:latest",
        "messages": [{"role": "user", "content": "What is 2+2?"}],
        "options": {"temperature": 0.7, "num_ctx": 4096, "stop": ["</s>"]},
        "stream": True,
        "format": None,
        "keep_alive": "5m",
        "tools": None,
        "template": None,
    }
    answer = api.post("/api/chat", body)
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.text.endswith("}\n")
    last = api.lines("/api/chat", body)[-1]
    assert (last["done"], last["done_reason"], last["message"]["content"]) == (True, "stop", "")


def test_open_webui_unloads_pulls_and_embeds(api: OllamaApi) -> None:
    unload = {"model": f"{CHAT}:latest", "prompt": "", "keep_alive": 0, "stream": False}
    assert api.post("/api/generate", unload).json()["done_reason"] == "unload"
    assert api.lines("/api/pull", {"name": CHAT})[-1] == {"status": "success"}
    assert api.post("/api/show", {"name": f"{CHAT}:latest"}).json()["details"]["format"] == "gguf"
    vectors = api.post("/api/embed", {"model": EMBEDDER, "input": ["a", "b"], "truncate": True}).json()
    assert [len(vector) for vector in vectors["embeddings"]] == [4, 4]


def test_continue_shows_chats_and_completes(api: OllamaApi) -> None:
    shown = api.post("/api/show", {"name": CHAT}).json()
    parameters = dict(line.split(None, 1) for line in shown["parameters"].split("\n"))
    assert int(parameters["num_ctx"]) == 2048
    assert ".Suffix" not in shown["template"]  # by which it knows that the model fills no gaps
    params = {"temperature": 0.1, "num_predict": 64, "num_ctx": 8192, "num_thread": 4, "use_mmap": True}
    chat = {"model": CHAT, "messages": [{"role": "user", "content": "hi"}], "options": params, "keep_alive": 1800}
    assert api.lines("/api/chat", chat)[0]["message"] == {"role": "assistant", "content": "The"}
    tools = api.post("/api/chat", {**chat, "stream": False, "tools": [TURN_ON]}).json()["message"]
    assert tools["tool_calls"][0]["function"]["arguments"] == {"on": True}
    raw = {"model": CHAT, "prompt": "def f(", "raw": True, "options": params, "keep_alive": 1800}
    assert [line["response"] for line in api.lines("/api/generate", raw)] == [" with", " a", " quick", " brown", ""]
