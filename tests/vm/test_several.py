"""Two models at one address of a real board: a chat model, and one for vectors, behind the front."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.models.model_list import ON_DEMAND_SECONDS
from deploy.onboard.front.server import MOST_CLIENTS
from deploy.onboard.server.health import Health, State
from deploy.onboard.service import CHAT, EMBED, FRONT, OLLAMA, Service
from deploy.settings import Settings
from tests.board import test_board as suite
from tests.board.board import Board
from tests.real_models import minilm
from tests.unit.test_settings import told
from tests.vm.machine import VirtualBoard
from tests.vm.test_deploy import vm
from tests.vm.test_doctor import lights
from tests.vm.test_releases import current

__all__ = ["vm"]

ADDRESS = "http://127.0.0.1:11434"
# Half a request of so many clients, held until the line "end" comes.
CROWD = """
import socket, sys
held = []
for _ in range({count}):
    client = socket.create_connection(("127.0.0.1", 11434))
    client.sendall(b"POST /v1/completions HTTP/1.1\\r\\nContent-Length: 9000\\r\\n\\r\\n" + b"x" * 1000)
    held.append(client)
import subprocess
print(subprocess.run({asked!r}, shell=True, capture_output=True, text=True).stdout)
"""


def models() -> list[Any]:
    """The setting."""
    return ["smoke", {"model": str(minilm()), "role": "embed", "alias": "minilm", "start": "on_demand"}]


def ask(vm: VirtualBoard, path: str, body: Any = None, options: str = "") -> Any:
    """What the address answers, parsed."""
    data = f"-H 'Content-Type: application/json' -d '{json.dumps(body)}'" if body is not None else ""
    return json.loads(vm.run(f"curl -sS -m 120 {options} {data} {ADDRESS}{path}"))


@pytest.fixture(scope="class")
def several(deployed_vm: VirtualBoard) -> Iterator[Settings]:
    """The settings of the VM while it serves both, to all tests of a class."""
    done = deployed_vm.deploy("--data", f"models={json.dumps(models())}")
    assert done.returncode == 0, done.said
    yield told(models=models())
    restored = deployed_vm.deploy("--data", "config_conflict=overwrite")
    assert restored.returncode == 0, restored.said


def board_of(vm: VirtualBoard, settings: Settings, role: str) -> Board:
    """The service of a role, as the board suite asks it."""
    return Board(vm.board.host, next(one for one in settings.services if one.role == role))


def process_of(vm: VirtualBoard, service: Service) -> str:
    return vm.run(f"systemctl show --property MainPID --value {service.unit}")


def resident(vm: VirtualBoard, service: Service) -> int:
    """The memory that its process has now, in kB."""
    return int(vm.run(f"ps -o rss= -p {process_of(vm, service)}"))


def await_another(board: Board, process: int) -> None:
    """Returns when another process than that one serves. A hang is seen after 30 s."""
    end = time.monotonic() + 180
    while board.process in (0, process) or board.health != Health(State.READY):
        assert time.monotonic() < end, board.health
        time.sleep(2)


class TestBoth:
    @pytest.fixture
    def vm(self, deployed_vm: VirtualBoard) -> VirtualBoard:
        """As the test before has left it."""
        return deployed_vm

    def test_two_models_answer_at_one_address(self, vm: VirtualBoard, several: Settings) -> None:
        for role in (CHAT, EMBED, FRONT):
            board = board_of(vm, several, role)
            suite.test_the_service_is_active_and_enabled(board)
            suite.test_it_listens_where_it_is_told_and_nowhere_else(board)
            suite.test_the_sandbox_is_tight(board)
            suite.test_the_gate_of_the_deploy_finds_it_healthy(board)
        again = vm.deploy("--data", f"models={json.dumps(models())}")
        assert (again.returncode, again.changed) == (0, []), again.said

        listed = ask(vm, "/v1/models")
        assert [one["id"] for one in listed["data"]] == ["boardllama-smoke.gguf", "minilm"]
        assert "/var" not in json.dumps(listed) and "--" not in json.dumps(listed)
        assert ask(vm, "/health") == {"status": "ok"}
        assert ask(vm, "/props")["model_alias"] == "boardllama-smoke.gguf"
        completed = ask(vm, "/v1/completions", {"prompt": "The quick brown fox", "max_tokens": 4})
        assert completed["usage"]["completion_tokens"]
        chatted = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2, "model": "gpt-4"}
        assert ask(vm, "/v1/chat/completions", chatted)["model"] == "boardllama-smoke.gguf"
        assert len(ask(vm, "/v1/embeddings", {"input": "a cat"})["data"][0]["embedding"]) == 384
        assert ask(vm, "/v1/chat/completions", {"messages": [], "model": "minilm"})["error"]["code"] in (400, 500, 501)

        shown = lights(vm)
        assert {shown[f"service of {service.unit}"] for service in several.services} == {"GOOD"}

    def test_one_that_dies_or_hangs_comes_back_and_the_others_go_on(self, vm: VirtualBoard, several: Settings) -> None:
        chat, vectors, front = (board_of(vm, several, role) for role in (CHAT, EMBED, FRONT))
        before = chat.process
        killed = vectors.process
        vm.run(f"kill -KILL {killed}")
        said = vm.run(f'curl -s -m 60 -d \'{{"input": "a"}}\' {ADDRESS}/v1/embeddings')
        assert "try again in" in said or "Loading model" in said, "until it is back"
        assert ask(vm, "/health") == {"status": "ok"}
        await_another(vectors, killed)
        hung = vectors.process, front.process
        vm.run(f"kill -STOP {hung[0]} {hung[1]}")
        await_another(vectors, hung[0])
        await_another(front, hung[1])
        assert ask(vm, "/v1/embeddings", {"input": "a cat"})["model"] == "minilm"
        assert chat.process == before

    def test_a_crowd_keeps_nobody_out_and_the_front_stays_small(self, vm: VirtualBoard, several: Settings) -> None:
        processes = [process_of(vm, service) for service in several.services]
        (front,) = several.brokers
        asked = f'curl -s -m 30 {ADDRESS}/v1/completions -d \'{{"prompt": "a", "max_tokens": 1}}\''
        program = CROWD.format(count=MOST_CLIENTS + 100, asked=asked)
        answer = vm.run(f"ulimit -n 4000; python3 - <<'END'\n{program}\nEND")
        assert '"completion_tokens":1' in answer
        peak = vm.run(f"grep VmHWM /proc/{process_of(vm, front)}/status").split()[1]
        assert int(peak) < 25_000
        assert [process_of(vm, service) for service in several.services] == processes, "it has ended nothing"

    def test_a_model_on_demand_sleeps_until_it_is_asked(self, vm: VirtualBoard, several: Settings) -> None:
        """It gives its memory back, and whoever asks then waits for it, two at a time as well."""
        (service,) = (service for service in several.services if service.role == EMBED)
        shorter = f'sed -i \'s/"sleep_after": {ON_DEMAND_SECONDS}/"sleep_after": 3/\' {service.config}'
        vm.run(f"{shorter} && systemctl restart {service.unit}")
        awake, end = resident(vm, service), time.monotonic() + 60
        while resident(vm, service) > 0.7 * awake:
            assert time.monotonic() < end, "it keeps its memory"
            time.sleep(1)
        asked = f'curl -s -m 120 -d \'{{"input": "a cat"}}\' {ADDRESS}/v1/embeddings | grep -o \'"model":"minilm"\''
        assert vm.run(f"({asked}) & {asked}; wait").split() == ['"model":"minilm"'] * 2
        assert resident(vm, service) > 0.7 * awake


def test_every_server_asks_for_the_key(vm: VirtualBoard) -> None:
    done = vm.deploy("--data", f"models={json.dumps(models())}", "--data", "api_key=sk-several-models")
    assert done.returncode == 0, done.said
    try:
        ports = [own.server_port for own in told(models=models()).hosted.values()]
        for url in (ADDRESS, *(f"http://127.0.0.1:{port}" for port in ports)):
            status = vm.run(f"curl -s -o /dev/null -w '%{{http_code}}' -d '{{\"input\": \"a\"}}' {url}/v1/embeddings")
            assert status == "401", url
        key = "-H 'Authorization: Bearer sk-several-models'"
        assert ask(vm, "/v1/embeddings", {"input": "a"}, key)["model"] == "minilm"
    finally:
        vm.run(f"rm {OLLAMA.api_key}")
        vm.deploy("--data", "config_conflict=overwrite")


def test_the_way_back_leaves_no_front(vm: VirtualBoard) -> None:
    alone = current(vm)
    assert vm.deploy("--data", f"models={json.dumps(models())}").returncode == 0
    both = current(vm)
    vm.run("boardllama rollback")
    assert current(vm) == alone
    assert_alone(vm)
    vm.run("boardllama rollback")
    assert current(vm) == both and ask(vm, "/v1/embeddings", {"input": "a cat"})["model"] == "minilm"
    assert vm.deploy().returncode == 0
    assert_alone(vm)


def assert_alone(vm: VirtualBoard) -> None:
    """One server answers at the address, and nothing is left of the others."""
    units = vm.run("systemctl list-units --all --plain --no-legend 'ollama-cpp-*' | cut -d' ' -f1").split()
    running = [unit for unit in units if vm.board.host.service(unit).is_running]
    assert running == [OLLAMA.unit]
    assert vm.run("ls /etc/systemd/system/multi-user.target.wants | grep ollama-cpp") == OLLAMA.unit
    assert vm.run("ls /etc/ollama-cpp/front.json /etc/ollama-cpp/minilm/config.json 2>/dev/null || true") == ""
    assert ask(vm, "/props")["model_alias"] == "boardllama-smoke.gguf"
