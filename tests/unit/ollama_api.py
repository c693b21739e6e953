"""Ollama's API as a process of its own, before a server that answers as llama-server was heard to.

The files in recorded/ are answers of the pinned llama-server with SmolLM2-135M; tools.sse and think.sse with the chat
templates of Qwen3 and DeepSeek-R1, since SmolLM2's has neither. Of each event, what only repeats (ids, times, settings)
was left out, and of each vector all but four numbers.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.onboard.server.bounds import BROKER_ENVIRONMENT
from deploy.vm.ports import free_ports
from tests.answers import Answer, Answering, Request, answering

RECORDED = Path(__file__).parent / "recorded"
ONBOARD = Path(__file__).parents[2] / "deploy" / "onboard"
CHAT, EMBEDDER = "smollm2-135m", "minilm"
KEY = "sesame"
# As it stands in the chat templates of Qwen3: what /props says of a model that can think and call tools.
THINKING = "{%- if enable_thinking is defined and enable_thinking is false %}"


def recorded(name: str) -> bytes:
    """An answer of llama-server."""
    return (RECORDED / name).read_bytes()


def said(status: int, message: str) -> Answer:
    """An error in llama-server's form."""
    return Answer(status, body=json.dumps({"error": {"code": status, "message": message, "type": "x"}}).encode())


def llama_answer(request: Request) -> Answer:
    """What llama-server answers to a client that has the key."""
    if request.authorization != f"Bearer {KEY}":
        return said(401, "Invalid API Key")
    body = json.loads(request.body or b"{}")
    if request.path == "/v1/chat/completions":
        name = "tools" if body.get("tools") else "think" if "chat_template_kwargs" in body else "chat"
        return Answer(headers={"Content-Type": "text/event-stream"}, body=recorded(f"{name}.sse"))
    if request.path == "/infill":
        return said(501, "Infill is not supported by this model: prefix token is missing. ")
    if request.path == "/v1/embeddings":
        return Answer(body=recorded("embeddings.json"))
    files = {"/completion": "completion.sse", "/v1/models": "models.json", "/props": "props.json"}
    return Answer(body=recorded(files[request.path])) if request.path in files else said(404, "File Not Found")


def thinking_answer(request: Request) -> Answer:
    """The same of a model that can think, call tools and see."""
    answer = llama_answer(request)
    if answer.status == 200 and request.path == "/props":
        props = json.loads(answer.body)
        props["chat_template"] += THINKING
        props["chat_template_caps"]["supports_tools"] = props["modalities"]["vision"] = True
        return Answer(body=json.dumps(props).encode())
    return answer


class OllamaApi:
    """The process, and the server that it asks."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]", upstream: Answering) -> None:
        self.port, self.process, self.upstream = port, process, upstream

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def asked(self, path: str) -> list[dict[str, Any]]:
        """The bodies of the requests to a path of the server behind."""
        return [json.loads(request.body) for request in self.upstream.asked if request.path == path]

    def post(self, path: str, body: Any, key: str = KEY) -> requests.Response:
        """Its answer to a JSON body."""
        return requests.post(self.url + path, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60)

    def lines(self, path: str, body: Any) -> list[dict[str, Any]]:
        """The lines of its answer."""
        return [json.loads(line) for line in self.post(path, body).text.splitlines()]


def route(name: str, role: str, port: int) -> dict[str, Any]:
    """A server as the process is told of it."""
    return {"name": name, "file": f"{name}.Q4_1.gguf", "role": role, "port": port, "slots": 4}


def program(folder: Path) -> list[str]:
    """The command line of `boardllama`, as it lies in a release."""
    shutil.copy(ONBOARD / "boardllama", folder)  # it looks for the others beside itself, where its link leads
    (folder / "onboard").symlink_to(ONBOARD)
    return [sys.executable, "-IS", str(folder / "boardllama")]


@contextmanager
def running_api(folder: Path, upstream: Answering, port: int = 0) -> Iterator[OllamaApi]:
    """The process, before a server that stands for both models. `port`: of the chat model's server, where another."""
    (own,) = free_ports(1)
    routes = [route(CHAT, "chat", port or upstream.server_port), route(EMBEDDER, "embed", upstream.server_port)]
    told = json.dumps({"host": "127.0.0.1", "port": own, "routes": routes})
    words, journal = [*program(folder), "ollama-api", told], (folder / "journal").open("wb")
    process = subprocess.Popen(words, stderr=journal, env=os.environ | BROKER_ENVIRONMENT)
    try:
        await_root(own, process)
        yield OllamaApi(own, process, upstream)
    finally:
        process.kill()
        process.wait()
    assert (folder / "journal").read_text() == ""


def await_root(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Returns when the process answers there."""
    while process.poll() is None:
        try:
            requests.get(f"http://127.0.0.1:{port}/", timeout=5)
            return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError(f"the process ended with {process.returncode}")


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port where nothing listens. It is kept: the server of another test that got it would answer."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


@pytest.fixture
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OllamaApi]:
    """The API before SmolLM2."""
    with answering(llama_answer) as upstream, running_api(tmp_path_factory.mktemp("api"), upstream) as made:
        yield made


@pytest.fixture
def thinking_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OllamaApi]:
    """The API before a model that can think, call tools and see."""
    with answering(thinking_answer) as upstream, running_api(tmp_path_factory.mktemp("api"), upstream) as made:
        yield made
