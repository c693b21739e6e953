"""docs/reference/api.md, typed on a target: one that was deployed without a model, as the page begins.

Blocks run in the page's order and as they stand, but for what is substituted. What each must do is in EXPECTED.
"""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest

from deploy.models import smoke
from deploy.onboard.service import OLLAMA
from deploy.vm.machine import Machine
from tests.board.board import Board
from tests.hub_server import HubServer
from tests.vm.guide import EXPECTED, FILE, HUB, MODELS, PROBLEMS, REPOSITORY, await_failure, blocks, table
from tests.vm.machine import VirtualBoard

API_KEY, CONFIG, UNIT = OLLAMA.api_key, OLLAMA.config, OLLAMA.unit

SHA256 = "9fecc3b3cd76bba89d504f29b616eedf7da85b96540e490ca5824d3f7d2776a0"


@pytest.fixture(scope="module")
def target(deployed_vm: VirtualBoard) -> Iterator[Board]:
    """A target deployed with model=None and without a model. Afterwards it is as the other tests expect it."""
    board = deployed_vm.board
    try:
        board.run(f"systemctl stop {UNIT}; rm -f {MODELS}/*.gguf")
        done = deployed_vm.deploy("--data", "model=null", "--data", "config_conflict=overwrite")
        assert done.returncode == 0, done.said
        yield board
    finally:
        board.run(f"rm -f {MODELS}/*.gguf {API_KEY}; systemctl reset-failed {UNIT} || true")
        done = deployed_vm.deploy("--data", "config_conflict=overwrite")
        assert done.returncode == 0, done.said


@pytest.fixture(scope="module")
def substituted(target: Board, deployed_vm: VirtualBoard) -> Iterator[dict[str, str]]:
    """The hub becomes one on the controller's loopback, which has the smoke model's bytes under the page's name."""
    name, config = Machine.load().name, deployed_vm.folder / "ssh_config"
    with HubServer() as hub:
        hub.files[REPOSITORY, "main", FILE] = smoke.smoke_model().read_bytes()
        address = hub.url.removeprefix("http://")
        forward = ["-R", f"{address}:{address}", name]
        target.run("true")  # opens the shared connection that the forwarding is added to
        subprocess.run(["ssh", "-F", config, "-O", "forward", *forward], check=True, timeout=30)
        yield {HUB: hub.url, SHA256: smoke.SHA256}
        subprocess.run(["ssh", "-F", config, "-O", "cancel", *forward], check=False, timeout=30)


def test_without_a_model_the_unit_fails_and_says_what_to_do(target: Board) -> None:
    assert target.host.service(UNIT).is_enabled
    assert target.host.run(f"systemctl restart {UNIT}").rc != 0
    assert f"ollama-cpp-server: {MODELS} holds no *.gguf (nothing): put one there and restart" in await_failure(target)


@pytest.mark.parametrize("name", list(EXPECTED))
def test_the_page_is_true(name: str, target: Board, substituted: dict[str, str]) -> None:
    block, expected = blocks()[name], EXPECTED[name]
    for written, meant in substituted.items():
        block = block.replace(written, meant)
    restarts = re.search(r"systemctl (re)?start", block)
    if restarts:
        # People are slower than these tests, and systemd counts starts within a minute.
        target.run(f"systemctl reset-failed {UNIT} || true")
    target.run(expected.after or "true")
    said = target.run(expected.command(block))
    if restarts:
        target.await_health()
    for pattern in expected.says:
        assert re.search(pattern, said, re.M), said
    assert expected.then(target)


@pytest.mark.parametrize("row", table("endpoint"), ids=lambda row: row[0].strip("`"))
def test_the_table_of_endpoints_is_true(row: list[str], target: Board) -> None:
    path, method = row[0].strip("`"), row[1]
    body = {"prompt": "a", "content": "a", "max_tokens": 1, "messages": [{"role": "user", "content": "a"}]}
    command = f"curl -sS --compressed -o /dev/null -w '%{{http_code}}' {target.url}{path}"
    if method == "POST":
        command += f" -d {shlex.quote(json.dumps(body))}"
    assert target.run(command) == "200"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (f"llama-cli -m {MODELS}/{FILE} -i 2>&1; true", "error: invalid argument: -i"),
        (f"llama-server -m {MODELS}/{FILE} --mlock 2>&1; true", "error: invalid argument: --mlock"),
        (f"llama-cli -m {MODELS}/{FILE} -p One -n 4 --single-turn --simple-io > /root/said; cat /root/said", "> One"),
        ('curl -sS http://localhost:11434/v1/embeddings -d \'{"input": "a"}\'', '"code":501'),
    ],
)
def test_what_the_page_says_in_passing_is_true(command: str, says: str, target: Board) -> None:
    assert says in target.run(command)


def test_with_two_models_and_no_choice_the_unit_fails_and_names_them(target: Board) -> None:
    second = f"{MODELS}/other.gguf"
    target.run(f"cp {MODELS}/{FILE} {second}; systemctl reset-failed {UNIT} || true; systemctl restart {UNIT} || true")
    assert f"ollama-cpp-server: {PROBLEMS[f'cp {MODELS}/{FILE} {second}']}" in await_failure(target)
    target.run(f'sed -i \'s/"default_model": null/"default_model": "other.gguf"/\' {CONFIG}')
    target.restart()
    assert target.ask("/props").json["model_alias"] == "other.gguf"
