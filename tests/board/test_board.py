"""What holds on every board that boardllama deployed. `make verify INVENTORY=…` runs it against yours."""

import json
from collections.abc import Callable

import pytest

from deploy.onboard.release.questions import ALIKE, ANSWERS, cosine
from deploy.onboard.server.abilities import abilities_of
from deploy.onboard.server.health import Health, State
from tests.board.board import Board

# What monitors and dashboards look at (tests/monitor/test_configuration.py).
FIGURES = {
    "llamacpp:prompt_tokens_total",
    "llamacpp:requests_deferred",
    "llamacpp:requests_processing",
    "llamacpp:tokens_predicted_seconds_total",
    "llamacpp:tokens_predicted_total",
}

# One pixel, as a PNG.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def test_the_service_is_active_and_enabled(board: Board) -> None:
    assert board.host.service(board.service.unit).is_running
    assert board.host.service(board.service.unit).is_enabled


def test_the_running_process_is_the_installed_binary(board: Board) -> None:
    assert board.run(f"readlink /proc/{board.process}/exe") == board.run("readlink -f /usr/bin/llama-server")


def test_it_runs_as_ollama_not_as_root(board: Board) -> None:
    assert board.run(f"stat -c %U:%G /proc/{board.process}") == f"{board.service.account}:{board.service.account}"


def test_it_listens_where_it_is_told_and_nowhere_else(board: Board) -> None:
    server = board.config["server"]
    rows = board.run(f"ss -ltnpH | grep -F pid={board.process},").splitlines()
    host = f"[{server['host']}]" if ":" in server["host"] else server["host"]
    assert [row.split()[3] for row in rows] == [f"{host}:{server['port']}"]


def test_the_gate_of_the_deploy_finds_it_healthy(board: Board) -> None:
    assert board.health == Health(State.READY)


def test_the_sandbox_is_tight(board: Board) -> None:
    """0.9 on loopback; one that others may reach scores 0.1 or 0.2 more. A bare unit scores 9.6."""
    last = board.run(f"systemd-analyze security --no-pager {board.service.unit}").splitlines()[-1]
    exposure = float(last.split(": ")[1].split()[0])
    assert exposure <= (1.0 if board.config["server"]["host"] in ("127.0.0.1", "::1", "localhost") else 1.2)


def test_health_says_ok(board: Board) -> None:
    answer = board.ask("/health")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


@pytest.mark.role("chat")
def test_it_completes_a_text(board: Board) -> None:
    answer = board.ask("/v1/completions", {"prompt": "The quick brown fox", "max_tokens": 8})
    assert answer.status == 200
    assert answer.json["choices"][0]["text"].strip()
    assert answer.json["usage"]["completion_tokens"] > 0


@pytest.mark.role("chat")
def test_it_streams_a_completion_as_server_sent_events(board: Board) -> None:
    answer = board.ask("/v1/completions", {"prompt": "Write a haiku:", "max_tokens": 4, "stream": True})
    assert answer.type.startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert events[-1] == "[DONE]"
    assert "".join(json.loads(event)["choices"][0]["text"] for event in events[:-1]).strip()


@pytest.mark.role("chat")
def test_it_chats_with_a_system_prompt(board: Board) -> None:
    messages = [{"role": "system", "content": "You are a pirate."}, {"role": "user", "content": "How are you?"}]
    answer = board.ask("/v1/chat/completions", {"messages": messages, "max_tokens": 8})
    assert answer.status == 200
    assert answer.json["choices"][0]["message"]["role"] == "assistant"
    assert answer.json["choices"][0]["message"]["content"].strip()
    assert answer.json["usage"]["prompt_tokens"] > 10


def test_props_show_the_configured_context_and_model(board: Board) -> None:
    props, models = board.ask("/props").json, board.config["models"]
    wanted = models["default_context_size"] or props["default_generation_settings"]["n_ctx"]
    assert props["default_generation_settings"]["n_ctx"] == wanted
    folder = board.run(f"readlink -f {models['path']}")
    assert props["model_path"].startswith(f"{folder}/")
    assert models["default_model"] in (None, props["model_path"].rpartition("/")[2])


@pytest.mark.role("embed")
def test_what_means_the_same_lies_nearer_than_what_does_not(board: Board) -> None:
    vectors = [one["embedding"] for one in board.ask("/v1/embeddings", {"input": ALIKE}).json["data"]]
    assert cosine(vectors[0], vectors[1]) > cosine(vectors[0], vectors[2])


@pytest.mark.role("rerank")
def test_the_answer_to_a_question_scores_above_what_is_none(board: Board) -> None:
    question, *documents = ANSWERS
    answer = board.ask("/v1/rerank", {"query": question, "documents": documents}).json
    scores = {one["index"]: one["relevance_score"] for one in answer["results"]}
    assert scores[0] > scores[1]


@pytest.mark.role("chat")
def test_props_show_the_sampling_that_config_json_asks_for(board: Board) -> None:
    params, wanted = board.ask("/props").json["default_generation_settings"]["params"], board.config["inference"]
    names = ("temperature", "top_p", "top_k", "min_p", "repeat_penalty", "presence_penalty")
    for name in (name for name in names if wanted.get(name) is not None):
        assert params[name] == pytest.approx(wanted[name]), name


def test_what_the_model_can_is_said_and_holds(board: Board, record_property: Callable[[str, object], None]) -> None:
    """`make verify` shows the abilities at its end."""
    abilities = abilities_of(board.ask("/props").json, board.service.role)
    record_property("can", ", ".join(abilities))
    assert abilities
    if "chat" not in abilities:
        return
    tool = {"type": "function", "function": {"name": "turn", "parameters": {"type": "object", "properties": {}}}}
    asked = {"messages": [{"role": "user", "content": "Turn."}], "max_tokens": 4}
    assert board.ask("/v1/chat/completions", asked).status == 200
    if "tools" in abilities:
        assert board.ask("/v1/chat/completions", {**asked, "tools": [tool]}).status == 200
    if "vision" not in abilities:
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
        refused = {"messages": [{"role": "user", "content": [image]}], "max_tokens": 4}
        assert board.ask("/v1/chat/completions", refused).status >= 400


def test_props_carry_the_pin_of_the_build(board: Board) -> None:
    manifest = json.loads(board.run("cat $(dirname $(readlink -f /usr/bin/llama-server))/manifest.json"))
    assert board.ask("/props").json["build_info"] == manifest["build_info"]


def test_metrics_are_prometheus_text(board: Board) -> None:
    answer = board.ask("/metrics")
    assert (answer.status, answer.type.split(";")[0]) == (200, "text/plain")
    told = {line.split(" ")[0] for line in answer.text.splitlines()}
    assert told >= FIGURES


def test_the_root_is_the_web_ui(board: Board) -> None:
    answer = board.ask("/")
    assert (answer.status, answer.type.split(";")[0]) == (200, "text/html")
    assert "<html" in answer.text.lower()


def test_ollamas_own_api_is_not_there(board: Board) -> None:
    assert board.ask("/api/generate", {"model": "tinyllama", "prompt": "Hello!"}).status == 404


@pytest.mark.role("chat")
def test_llama_cli_answers(board: Board) -> None:
    model = board.ask("/props").json["model_path"]
    said = board.run(f"llama-cli -m '{model}' -p 'Tell me a joke.' -n 8 --single-turn </dev/null 2>/dev/null")
    assert len(said.replace("Tell me a joke.", "").split()) > 4


@pytest.mark.disruptive
def test_editing_the_threads_and_restarting_changes_them(board: Board) -> None:
    before = board.arguments[board.arguments.index("--threads") + 1]
    wanted = "1" if before != "1" else "2"
    config = board.service.config
    board.run(f"cp -a {config} {config}.before")  # a link stays one
    try:
        board.run(f'sed -i \'s/"default_threads": *[0-9]*/"default_threads": {wanted}/\' {config}')
        board.restart()
        assert board.arguments[board.arguments.index("--threads") + 1] == wanted
    finally:
        board.run(f"mv {config}.before {config}")
        board.restart()
