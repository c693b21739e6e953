"""What the gate asks of Ollama's API before a release is let in."""

from pathlib import Path

import pytest

from deploy.onboard.release.questions import ask_by_role
from deploy.onboard.server.health import Unhealthy
from deploy.onboard.service import OLLAMA_API
from tests.answers import answering
from tests.unit.ollama_api import KEY, OllamaApi, api, dead_port, llama_answer, running_api

__all__ = ["api", "dead_port"]


def test_every_model_that_completes_is_asked_for_tokens(api: OllamaApi) -> None:
    assert ask_by_role(OLLAMA_API, api.url, 0, KEY) is None
    assert [body["n_predict"] for body in api.asked("/completion")] == [2]


def test_a_board_without_its_key_is_not_let_in(api: OllamaApi) -> None:
    with pytest.raises(Unhealthy, match=r"the list of Ollama's API was answered with 401"):
        ask_by_role(OLLAMA_API, api.url, 0, None)


def test_a_server_that_is_gone_is_said(tmp_path: Path, dead_port: int) -> None:
    said = r"a question about smollm2-135m:latest was answered with 503"
    with (
        answering(llama_answer) as upstream,
        running_api(tmp_path, upstream, port=dead_port) as api,
        pytest.raises(Unhealthy, match=said),
    ):
        ask_by_role(OLLAMA_API, api.url, 0, KEY)
