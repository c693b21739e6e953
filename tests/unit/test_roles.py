"""A model for chat, for vectors, for scores: which file may be which, how it is started, and what the gate asks it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.cpu import find_cpu
from deploy.errors import BoardllamaError
from deploy.hosts.facts import BoardInfo
from deploy.onboard.gguf.architectures import PIN
from deploy.onboard.gguf.chat_models import require_usable_model
from deploy.onboard.release.questions import ANSWERS, ask_by_role
from deploy.onboard.server.config import ConfigError
from deploy.onboard.server.health import Unhealthy
from deploy.onboard.service import CHAT, EMBED, OLLAMA, RERANK, ROLES, Service
from deploy.stages import fitting, model
from tests.gguf_bytes import chat, gguf
from tests.unit.onboard import argument, command, config, models
from tests.unit.test_settings import told

__all__ = ["models"]

# A file of each role, and what it is called.
MADE_FOR = {
    CHAT: (chat(), "is a chat model (llama), which answers with text"),
    EMBED: (
        chat("bert", pooling_type=1, context_length=512),
        "is an embedding model (bert), which answers with vectors",
    ),
    RERANK: (chat("bert", pooling_type=4), "is a reranker (bert), which answers with scores"),
}
Answers = Callable[[Callable[[Any], Any]], str]


@pytest.fixture
def server() -> Iterator[Answers]:
    """Starts a server that answers each POST with what a function makes of its body. Returns its address."""
    with ExitStack() as servers:

        def start(answer: Callable[[Any], Any]) -> str:
            class Handler(BaseHTTPRequestHandler):
                def do_POST(self) -> None:
                    body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                    content = json.dumps(answer(body)).encode()
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

                def log_message(self, format: str, *arguments: object) -> None:
                    pass

            made = servers.enter_context(HTTPServer(("127.0.0.1", 0), Handler))
            threading.Thread(target=made.serve_forever, daemon=True).start()
            servers.callback(made.shutdown)
            return f"http://127.0.0.1:{made.server_port}"

        yield start


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("own", ROLES)
def test_a_model_is_served_in_the_role_that_it_is_made_for(tmp_path: Path, own: str, role: str) -> None:
    path, (keys, words) = tmp_path / "x.gguf", MADE_FOR[own]
    path.write_bytes(gguf(keys))
    settings = told(model="path", model_path=str(path), role=role, context_size=512)
    if own == role:
        model.check_weights(settings, [path])
        require_usable_model(path, PIN, role, print)
        return
    with pytest.raises(BoardllamaError) as deployed:
        model.check_weights(settings, [path])
    with pytest.raises(ConfigError) as started:
        require_usable_model(path, PIN, role, print)
    said = str(deployed.value)
    assert said.startswith(f"x.gguf {words}; ") and said.endswith(f", or set role to {own}")
    assert str(started.value) == f"{tmp_path}/{said}"


@pytest.mark.parametrize(("role", "flag"), [(EMBED, "--embeddings"), (RERANK, "--rerank")])
def test_a_text_is_read_at_once_however_long_it_is(models: Path, role: str, flag: str) -> None:
    """The last of two arguments counts, so a batch_size of config.json cannot make it shorter."""
    words = command(told_to_serve(models, 384), in_role(models, role))
    assert flag in words
    assert words[-4:] == ["--batch-size", "384", "--ubatch-size", "384"]


def told_to_serve(models: Path, context_size: int) -> dict[str, dict[str, Any]]:
    """A complete configuration with that context."""
    wanted = config(models)
    return wanted | {"models": wanted["models"] | {"default_context_size": context_size}}


def in_role(models: Path, role: str) -> Service:
    """The server, in that role, with a model for it in its folder."""
    (models / "only one.gguf").write_bytes(gguf(MADE_FOR[role][0]))
    return replace(OLLAMA, role=role, models=models)


def test_a_context_that_is_the_models_own_is_read_from_its_file(models: Path) -> None:
    wanted = told_to_serve(models, 0)
    assert argument(command(wanted, in_role(models, EMBED)), "--embeddings") == "--batch-size"
    assert command(wanted, in_role(models, EMBED))[-1] == "512"


def test_chat_is_started_as_ever(models: Path) -> None:
    assert not {"--embeddings", "--rerank"} & set(command(config(models)))


def test_the_batch_of_an_embedding_model_is_its_context_and_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf(MADE_FOR[EMBED][0]))
    settings = told(model="path", model_path=str(path), role=EMBED, context_size=2048)
    (service,) = settings.hosted
    board = BoardInfo(memory=4_000_000_000)
    fitted = fitting.fit_services(settings.hosted, find_cpu("cortex-a76"), board)[service]
    assert (fitted.settings.context_size, fitted.settings.batch_size) == (512, 512), "what it was trained for"
    assert fitting.serving_of(fitted.settings, find_cpu("cortex-a76")).at_once == 512


def test_vectors_pass_when_what_means_the_same_lies_nearer(server: Answers) -> None:
    def vectors(body: Any) -> Any:
        turned = [[1, 0.1], [0.9, 0.2], [0, 1]]
        data = [{"index": n, "embedding": turned[n]} for n, _ in enumerate(body["input"])]
        return {"data": data[::-1], "usage": {"prompt_tokens": 30}}

    assert (ask_by_role(EMBED, server(vectors), 5000, None) or 0) > 0, "the floor is of chat alone"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([[1, 0], [0, 1], [1, 0]], "two sentences of one meaning are 0.00 alike, and two of different meanings 1.00"),
        ([[1, 0], [1, 0], [1, 0]], "two sentences of one meaning are 1.00 alike, and two of different meanings 1.00"),
        ([[0, 0], [0, 0], [0, 0]], "came back without three vectors"),
        ([[1, 0], [0, 1]], "came back without three vectors"),
        ([["x"], [0], [1]], "came back without three vectors"),
    ],
)
def test_vectors_that_say_nothing_are_not_let_in(server: Answers, answer: list[Any], words: str) -> None:
    data = [{"index": n, "embedding": one} for n, one in enumerate(answer)]
    with pytest.raises(Unhealthy, match=words):
        ask_by_role(EMBED, server(lambda _body: {"data": data, "usage": {"prompt_tokens": 3}}), 0, None)


def scores(right: float, wrong: float) -> Callable[[Any], Any]:
    """A reranker that gives the answer and the other sentence these scores."""

    def answer(body: Any) -> Any:
        assert (body["query"], *body["documents"]) == ANSWERS
        results = [{"index": 1, "relevance_score": wrong}, {"index": 0, "relevance_score": right}]
        return {"results": results, "usage": {"prompt_tokens": 30}}

    return answer


def test_scores_pass_when_the_answer_wins(server: Answers) -> None:
    assert (ask_by_role(RERANK, server(scores(3.5, -8)), 0, None) or 0) > 0


@pytest.mark.parametrize(("right", "wrong"), [(-8, 3.5), (1, 1)])
def test_scores_in_the_wrong_order_are_not_let_in(server: Answers, right: float, wrong: float) -> None:
    with pytest.raises(Unhealthy, match="this is no reranker, or its file is damaged"):
        ask_by_role(RERANK, server(scores(right, wrong)), 0, None)


def test_a_server_without_that_answer_is_not_let_in(server: Answers) -> None:
    with pytest.raises(Unhealthy, match="came back without two scores"):
        ask_by_role(RERANK, server(lambda _body: {"error": "no"}), 0, None)
