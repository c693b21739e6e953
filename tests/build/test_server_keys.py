"""Keys of config.json: the llama-server that is built does what they say."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.build.proof import emulator_command
from deploy.cpu import find_cpu
from deploy.models.smoke import smoke_model
from deploy.onboard.server.config import with_defaults
from deploy.onboard.server.config_keys import config_arguments
from deploy.onboard.server.extra_arguments import REASONS, help_of, known_flags, own_keys, require_good_arguments
from deploy.onboard.server.launch import FIXED
from deploy.onboard.service import OLLAMA
from deploy.vm.ports import free_ports
from tests.build.builds import CPU, Make

CONVERSATION = [{"role": "user", "content": "the board"}]
# It says what it is told of thinking, and begins an answer with it.
TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>"
    "{% if message.reasoning_content %}<think>\n{{ message.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ message.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|> "
    "{% if enable_thinking %}<think>{% else %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
TOLD: dict[str, dict[str, Any]] = {
    "models": {"alias": "kitchen", "chat_template": TEMPLATE, "sleep_after": 3, "default_context_size": 512},
    "inference": {
        **{"parallel": 2, "kv_cache": "q8_0", "prompt_cache": 16, "speculative": "ngram-map-k", "image_tokens": 64},
        **{"min_p": 0.25, "presence_penalty": 0.5, "max_tokens": 24, "reasoning": "off"},
    },
    "logging": {"level": "debug"},
}
Ask = Callable[..., Any]


@contextmanager
def server(program: list[str], log: Path, told: dict[str, dict[str, Any]]) -> Iterator[Ask]:
    """The smoke model, served as the launcher does with a config.json that says `told`; asks it a path, with a body."""
    (port,) = free_ports(1)
    config = with_defaults({**told, "server": {"port": port}}, OLLAMA)
    words = [*program, "--model", str(smoke_model()), "--alias", str(config["models"]["alias"])]

    def ask(path: str, body: dict[str, Any] | None = None) -> Any:
        url = f"http://127.0.0.1:{port}{path}"
        return (requests.post(url, json=body, timeout=60) if body else requests.get(url, timeout=60)).json()

    with log.open("w") as lines:
        running = subprocess.Popen([*words, *config_arguments(config), *FIXED], stdout=lines, stderr=lines)
    try:
        await_answer(ask, running)
        yield ask
    finally:
        running.kill()
        running.wait()


def await_answer(ask: Ask, running: subprocess.Popen[bytes]) -> None:
    """Returns when the server answers. Raises AssertionError when it ends instead."""
    while running.poll() is None:
        try:
            if ask("/health") == {"status": "ok"}:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    raise AssertionError(f"the server ended with {running.returncode}")


@pytest.fixture(scope="module")
def program(built: Make) -> list[str]:
    """The command that runs the built server."""
    return [*emulator_command(find_cpu(CPU)), str(built(CPU).artifact_folder / "llama-server")]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the server says."""
    return tmp_path_factory.mktemp("server") / "log"


@pytest.fixture(scope="module")
def ask(program: list[str], log: Path) -> Iterator[Ask]:
    """Asks the server that was told everything."""
    with server(program, log, TOLD) as asked:
        yield asked


def test_each_conversation_has_the_whole_context(ask: Ask) -> None:
    assert [slot["n_ctx"] for slot in ask("/slots")] == [512, 512]


def test_the_model_has_its_alias_and_its_template(ask: Ask) -> None:
    assert [model["id"] for model in ask("/v1/models")["data"]] == ["kitchen"]
    assert ask("/props")["chat_template"] == TEMPLATE


def test_the_sampling_is_what_was_said(ask: Ask) -> None:
    used = ask("/props")["default_generation_settings"]["params"]
    assert (used["min_p"], used["presence_penalty"]) == (0.25, 0.5)
    assert used["top_k"] == 40  # llama.cpp's own: nothing was said


def test_an_answer_ends_at_max_tokens_unless_the_request_says_another_number(ask: Ask) -> None:
    assert ask("/completion", {"prompt": "the", "ignore_eos": True})["tokens_predicted"] == 24
    assert ask("/completion", {"prompt": "the", "ignore_eos": True, "n_predict": 30})["tokens_predicted"] == 30


def test_the_template_is_told_not_to_think(ask: Ask) -> None:
    assert ask("/apply-template", {"messages": CONVERSATION})["prompt"].endswith("</think>\n\n")


def test_cache_and_guesses_are_what_was_said(ask: Ask, log: Path) -> None:
    assert all(slot["speculative"] for slot in ask("/slots"))
    said = log.read_text()
    assert "K (q8_0)" in said and "V (q8_0)" in said
    assert "prompt cache is enabled, size limit: 16 MiB" in said
    assert "adding speculative implementation 'ngram-map-k'" in said


def test_a_server_that_sleeps_is_healthy_and_wakes_for_a_request(ask: Ask) -> None:
    while not ask("/props")["is_sleeping"]:
        assert ask("/health") == {"status": "ok"}
        time.sleep(0.1)
    assert ask("/health") == {"status": "ok"} and ask("/props")["model_path"]
    assert ask("/v1/chat/completions", {"messages": CONVERSATION})["usage"]["completion_tokens"] > 0
    assert not ask("/props")["is_sleeping"]


def test_the_refused_flags_are_flags_of_this_server_and_the_others_pass(program: list[str]) -> None:
    known = known_flags(help_of(*program))
    assert set(REASONS) | set(own_keys()) <= set(known)
    assert len(known) > 300
    told = with_defaults({"inference": {"extra_arguments": ["--seed", "7", "--no-perf"]}}, OLLAMA)
    require_good_arguments(told, *program)


def test_thinking_ends_with_its_budget(program: list[str], tmp_path: Path) -> None:
    thinking = {"models": TOLD["models"] | {"sleep_after": 0}, "inference": {"reasoning": "on", "reasoning_budget": 6}}
    with server(program, tmp_path / "log", thinking) as asked:
        assert asked("/apply-template", {"messages": CONVERSATION})["prompt"].endswith("<think>")
        body = {"messages": CONVERSATION, "max_tokens": 24, "temperature": 0, "ignore_eos": True}
        message = asked("/v1/chat/completions", body)["choices"][0]["message"]
    assert 0 < len(message["reasoning_content"].split()) <= 6
    assert message["content"].strip()
