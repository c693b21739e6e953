"""The official client of Ollama, and the llama-server that was built, with models whose answers mean something."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import ollama
import pytest
import requests

from deploy.build.proof import emulator_command
from deploy.cpu import find_cpu
from deploy.onboard.release.questions import cosine
from deploy.onboard.server.launch import FIXED
from deploy.vm.ports import free_ports
from tests.build.builds import CPU, Make
from tests.real_models import minilm, smollm2
from tests.unit.ollama_api import CHAT, EMBEDDER, await_root, program, route

GREEDY = {"temperature": 0, "num_predict": 8}
ASK = [{"role": "user", "content": "What is 2+2? Answer with one number."}]


@contextmanager
def served(llama_server: Path, model: Path, alias: str, *arguments: str) -> Iterator[int]:
    """The port of a server that serves a model, started as the launcher starts it."""
    (port,) = free_ports(1)
    words = ["--model", str(model), "--alias", alias, "--port", str(port), "--ctx-size", "512", *FIXED, *arguments]
    with subprocess.Popen([*emulator_command(find_cpu(CPU)), str(llama_server), *words]) as server:
        try:
            await_health(port, server)
            yield port
        finally:
            server.kill()


def await_health(port: int, server: "subprocess.Popen[bytes]") -> None:
    """Returns when the server has loaded its model."""
    while server.poll() is None:
        try:
            if requests.get(f"http://127.0.0.1:{port}/health", timeout=60).ok:
                return
        except requests.RequestException:
            time.sleep(0.5)
    raise AssertionError(f"the server ended with {server.returncode}")


@pytest.fixture(scope="module")
def client(built: Make, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The client, before a chat model and a model for embeddings."""
    llama_server, (port,) = built(CPU).artifact_folder / "llama-server", free_ports(1)
    with ExitStack() as running:
        chat = running.enter_context(served(llama_server, smollm2(), CHAT))
        embed = running.enter_context(served(llama_server, minilm(), EMBEDDER, "--embeddings"))
        told = {
            "host": "127.0.0.1",
            "port": port,
            "routes": [route(CHAT, "chat", chat), route(EMBEDDER, "embed", embed)],
        }
        words = [*program(tmp_path_factory.mktemp("api")), "ollama-api", json.dumps(told)]
        api = running.enter_context(subprocess.Popen(words))
        running.callback(api.kill)
        await_root(port, api)
        yield ollama.Client(host=f"http://127.0.0.1:{port}")


def test_a_chat_is_answered_in_the_same_words_whole_and_in_pieces(client: Any) -> None:
    whole = client.chat(CHAT, ASK, options=GREEDY)
    pieces = list(client.chat(CHAT, ASK, options=GREEDY, stream=True))
    assert whole.message.content == "".join(piece.message.content for piece in pieces) == "The answer is 4."
    assert (whole.done_reason, pieces[-1].done_reason) == ("stop", "stop")
    assert whole.eval_count == pieces[-1].eval_count


def test_a_prompt_is_answered_and_a_raw_one_is_continued(client: Any) -> None:
    assert client.generate(CHAT, ASK[0]["content"], options=GREEDY).response == "The answer is 4."
    raw = client.generate(CHAT, "One, two, three, four,", raw=True, options=GREEDY)
    assert raw.response.startswith(" five")
    assert (raw.done_reason, raw.eval_count) == ("length", 8)


def test_a_schema_is_obeyed(client: Any) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    tom, enough = [{"role": "user", "content": "Tom is 7. How old is Tom?"}], {**GREEDY, "num_predict": 40}
    answer = client.chat(CHAT, tom, format=schema, options=enough)
    assert json.loads(answer.message.content) == {"age": 7}


def test_similar_sentences_are_near(client: Any) -> None:
    cat, kitten, stock = client.embed(
        EMBEDDER, ["a cat on a mat", "a kitten on a rug", "the stock market fell"]
    ).embeddings
    assert cosine(cat, kitten) > cosine(cat, stock) + 0.2


def test_a_long_text_is_cut_unless_that_is_forbidden(client: Any) -> None:
    (vector,) = client.embed(EMBEDDER, "word " * 700).embeddings
    assert len(vector) == 384
    with pytest.raises(ollama.ResponseError, match="too large to process"):
        client.embed(EMBEDDER, "word " * 700, truncate=False)


def test_models_say_what_they_are(client: Any) -> None:
    assert [model.model for model in client.list().models] == [f"{CHAT}:latest", f"{EMBEDDER}:latest"]
    assert client.show(CHAT).capabilities == ["completion"]
    assert client.show(EMBEDDER).capabilities == ["embedding"]
