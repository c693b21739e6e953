"""Ollama's API of a real board: deployed, judged, asked by the official client over the network, taken back."""

import time
from collections.abc import Iterator
from typing import Any

import ollama
import pytest

from deploy.onboard.service import OLLAMA_API, Service
from deploy.settings import Settings
from deploy.vm.machine import Machine
from tests.board import test_board as suite
from tests.board.board import Board
from tests.unit.test_settings import told
from tests.vm.machine import VirtualBoard
from tests.vm.test_deploy import vm

__all__ = ["vm"]

WANTED = ("--data", "ollama_api=true")
ASK = [{"role": "user", "content": "What is 2+2?"}]
TOKENS = {"num_predict": 4}
# Nearly as large as a request may be, once it is base64.
PICTURE = b"\x89PNG" + bytes(5_900_000)


@pytest.fixture
def settings(vm: VirtualBoard) -> Iterator[Settings]:
    """The settings of the VM while it speaks Ollama's API."""
    done = vm.deploy(*WANTED)
    assert done.returncode == 0, done.said
    yield told(ollama_api=True)
    vm.deploy("--data", "config_conflict=overwrite")


def client() -> Any:
    """Ollama's own client, on the controller."""
    return ollama.Client(host=Machine.load().api_url)


def service_of(settings: Settings) -> Service:
    """The service that speaks Ollama's API."""
    return next(one for one in settings.services if one.role == OLLAMA_API)


def peak_memory(vm: VirtualBoard, service: Service) -> int:
    """The most memory that its process had, in kB."""
    process = vm.run(f"systemctl show --property MainPID --value {service.unit}")
    return int(vm.run(f"grep VmHWM /proc/{process}/status").split()[1])


def test_the_official_client_is_answered_by_a_board(vm: VirtualBoard, settings: Settings) -> None:
    service = service_of(settings)
    board = Board(vm.board.host, service)
    suite.test_the_service_is_active_and_enabled(board)
    suite.test_it_listens_where_it_is_told_and_nowhere_else(board)
    suite.test_the_sandbox_is_tight(board)
    again = vm.deploy(*WANTED)
    assert (again.returncode, again.changed) == (0, []), again.said

    asked = client()
    (model,) = asked.list().models
    assert asked.ps().models[0].name == model.model
    assert "completion" in asked.show(model.model).capabilities
    whole = asked.chat(model.model, ASK, options=TOKENS)
    assert (whole.done, whole.eval_count) == (True, 4)
    pieces = list(asked.generate(model.model, "The quick brown fox", raw=True, stream=True, options=TOKENS))
    assert "".join(piece.response for piece in pieces).strip()
    assert asked.pull(model.model).status == "success"
    with pytest.raises(ollama.ResponseError, match="'llama3' not found"):
        asked.chat("llama3", ASK)
    with pytest.raises(ollama.ResponseError, match="image input is not supported"):
        asked.chat(model.model, [{"role": "user", "content": "What is it?", "images": [PICTURE]}])
    assert peak_memory(vm, service) < 25_000


def test_one_that_dies_comes_back(vm: VirtualBoard, settings: Settings) -> None:
    unit = service_of(settings).unit
    vm.run(f"kill -KILL $(systemctl show --property MainPID --value {unit})")
    deadline = time.monotonic() + 120
    while True:
        try:
            assert client().list().models
            break
        except ollama.ResponseError as error:
            assert "try again" in str(error)
            assert time.monotonic() < deadline, "it has not come back"
            time.sleep(1)


def test_without_the_setting_there_is_none(vm: VirtualBoard) -> None:
    assert vm.deploy("--data", "config_conflict=overwrite").returncode == 0
    with pytest.raises(ollama.ResponseError) as refused:
        client().list()
    assert refused.value.status_code == 404
