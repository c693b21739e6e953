"""Keys of config.json on a board: a deploy brings them, the sandboxed server obeys, and its watcher lives with it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.onboard.service import OLLAMA
from tests.board.board import Board
from tests.vm.machine import VirtualBoard
from tests.vm.test_bad_input import serves, until

SYSTEM = {"role": "system", "content": " ".join(["the board has a boat and bread"] * 20)}
CHAT = {"messages": [SYSTEM, {"role": "user", "content": "hello"}]}
WARM = until(f"journalctl -b -u {OLLAMA.unit} -o cat | grep -q kitchen.json.is.warm")
CONFIG = OLLAMA.config
ASLEEP = until("curl -sf http://127.0.0.1:11434/props | grep -q is_sleeping.:true")


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one prompt."""
    folder = tmp_path_factory.mktemp("prompts")
    (folder / "kitchen.json").write_text(json.dumps(CHAT))
    return folder


@pytest.fixture(scope="module")
def vm(deployed_vm: VirtualBoard, prompts: Path) -> Iterator[VirtualBoard]:
    """With a release that says everything; afterwards as any deploy leaves it."""
    told = {
        **{"parallel": 2, "kv_cache": "q8_0", "prompt_cache": 16, "alias": "kitchen", "reasoning": "off"},
        **{"extra_arguments": json.dumps(["--seed", "7"]), "warm_prompts": prompts},
    }
    done = deployed_vm.deploy(*(word for name, value in told.items() for word in ("--data", f"{name}={value}")))
    assert done.returncode == 0, done.said
    yield deployed_vm
    assert deployed_vm.deploy().returncode == 0


def cached_tokens(board: Board) -> int:
    """Of a client's question with the known beginning, the tokens that need not be read."""
    asked = {"messages": [SYSTEM, {"role": "user", "content": "what time is it"}], "max_tokens": 1}
    return int(board.ask("/v1/chat/completions", asked).json["timings"]["cache_n"])


def test_a_committed_release_reads_its_prompts_and_the_next_client_does_not_wait(vm: VirtualBoard) -> None:
    vm.run(WARM)
    assert cached_tokens(vm.board) > 100


def test_so_does_every_start(vm: VirtualBoard) -> None:
    vm.run(f"journalctl --rotate -q; journalctl --vacuum-time=1s -q; systemctl restart {OLLAMA.unit}; {WARM}")
    assert cached_tokens(vm.board) > 100


def test_the_server_was_told_everything(vm: VirtualBoard) -> None:
    props = vm.board.ask("/props").json
    assert (props["total_slots"], props["model_alias"]) == (2, "kitchen")
    slots = vm.board.ask("/slots").json
    assert {slot["n_ctx"] for slot in slots} == {vm.board.config["models"]["default_context_size"]}
    assert vm.board.arguments[vm.board.arguments.index("--seed") + 1] == "7"
    assert "extra arguments: --seed 7" in " ".join(vm.run("boardllama doctor || true").split())


@pytest.fixture
def sleepy(vm: VirtualBoard) -> Iterator[VirtualBoard]:
    """Sleeps after seconds, as an operator says it. A server that slept knows no prompt, so no other test has this."""
    vm.run(f'cp -p {CONFIG} /root/kept; sed -i \'s/"sleep_after": 0/"sleep_after": 5/\' {CONFIG}')
    vm.run(f"systemctl restart {OLLAMA.unit}")
    yield vm
    vm.run(f"mv /root/kept {CONFIG}; systemctl restart {OLLAMA.unit}")


def test_a_server_that_sleeps_is_left_alone_and_wakes(sleepy: VirtualBoard) -> None:
    """The watcher ends a server without a good answer for 30 s."""
    process = sleepy.board.process
    sleepy.run(f"{ASLEEP}; sleep 40")
    assert sleepy.board.process == process and serves(sleepy)
    assert sleepy.board.process == process


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"extra_arguments": '["--sed", "7"]'}, "--sed is no argument of this llama-server: did you mean --seed?"),
        ({"extra_arguments": '["--api-key", "x"]'}, "--api-key is not to be changed: the setting api_key says who"),
        ({"extra_arguments": '["--parallel", "9"]'}, "--parallel has a key of its own: parallel"),
        ({"warm_prompts": "/nowhere"}, "warm_prompts is '/nowhere': must be a folder of this computer with *.json"),
        ({"kv_cache": "q5_1"}, "kv_cache is "),
        ({"prompt_cache": 1_000_000}, " MB"),
    ],
)
def test_what_is_wrong_is_one_line_and_changes_nothing(vm: VirtualBoard, changes: dict[str, object], said: str) -> None:
    before = vm.board.arguments
    done = vm.deploy(*(word for name, value in changes.items() for word in ("--data", f"{name}={value}")))
    assert done.returncode != 0 and said in " ".join(done.said.split()), done.said
    assert vm.board.arguments == before and serves(vm)
