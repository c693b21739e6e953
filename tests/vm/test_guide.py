"""docs/api.md, typed on a target: one that was deployed without a model, as the page begins.

Blocks run in the page's order and as they stand, but for SUBSTITUTED. What each must do is in EXPECTED.
"""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest

from deploy.models import smoke
from deploy.onboard.config import KEYS
from deploy.onboard.health import Health, State
from deploy.onboard.places import API_KEY, CONFIG, UNIT
from deploy.vm.machine import Machine
from tests.board.board import Board
from tests.hub_server import HubServer
from tests.vm.guide import FILE, MODELS, PAGE, PROBLEMS, Expected, await_failure, blocks, table
from tests.vm.machine import VirtualBoard

REPOSITORY = "TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF"
HUB = "https://huggingface.co"
SHA256 = "9fecc3b3cd76bba89d504f29b616eedf7da85b96540e490ca5824d3f7d2776a0"

TEXT = r'"choices":\[\{"text":"[^"]+"'
CHAT = r'"message":\{"role":"assistant","content":"[^"]+"'
# A program of the target whose memory has no bound, within one.
HOG = "tail"
HOGGED = f"systemd-run --quiet --wait -p MemoryMax=16M -p MemorySwapMax=0 {HOG} /dev/zero || true"
ANSWER = r"\n> Hello! Tell me a joke\.\n\s*\w+.*\w+"


def runs_with(option: str, value: str) -> Expected:
    """After a restart the server was started with this option."""
    return Expected(then=lambda board: board.arguments[board.arguments.index(option) + 1] == value)


def is_up(board: Board) -> bool:
    """The service runs and serves the model that was brought by hand."""
    return board.health == Health(State.READY) and board.ask("/props").json["model_alias"] == FILE


EXPECTED = {
    "download": Expected(then=lambda board: board.host.file(f"{MODELS}/{FILE}").size == smoke.SIZE),
    "checksum": Expected((f"{re.escape(FILE)}: OK",)),
    "restart": Expected(then=is_up),
    "wait": Expected((r'^\{"status":"ok"\}$',)),
    "status": Expected((r"Active: active \(running\)", r"Main PID: \d+ \(llama-server\)")),
    "completion": Expected((TEXT, r'"completion_tokens":\d+')),
    "completion-parameters": Expected((TEXT,)),
    "chat": Expected((CHAT, r'"finish_reason":"(stop|length)"', r'"prompt_tokens":\d+')),
    "chat-system": Expected((CHAT,)),
    "stream": Expected((rf"^data: \{{{TEXT}", r"^data: \[DONE\]$")),
    "health": Expected((r'^\{"status":"ok"\}$',)),
    "props": Expected((rf'"model_path":"{MODELS}/{re.escape(FILE)}"', r'"chat_template":"')),
    "props-short": Expected((rf"^model +{MODELS}/", r"^context +2048$", r"^slots +\d+$", r"^build +b0-0c1e57")),
    "metrics": Expected((r"^llamacpp:prompt_tokens_total \d", r"^# TYPE llamacpp:\w+ counter$")),
    "web-ui": Expected((r"^<html lang=",)),
    "ollama-generate": Expected((r"^HTTP/1.1 404 Not Found", r'"code":404')),
    "instead-of-generate": Expected((TEXT,)),
    "instead-of-tags": Expected((rf'"id":"{re.escape(FILE)}"',)),
    "cli-answer": Expected((ANSWER,)),
    "cli-pipe": Expected((r"\n> \s*\w+.*\w+",)),
    "cli-chat": Expected((r"(?s)\n> .*\w+.*\n> .*Exiting",), typed="Hello!\n/exit\n"),
    "cli-connected": Expected((rf"model +: {re.escape(FILE)}", r"\n> \s*\w+.*\w+"), typed="Hello!\n", endless=True),
    "threads": runs_with("--threads", "2"),
    "config-check": Expected((r"^fine$",)),
    "config-print": Expected((rf"^/usr/bin/llama-server --model {MODELS}/\S+ .*--threads 2 ",)),
    "key-make": Expected(then=lambda board: board.run(f"stat -c '%a %U:%G' {API_KEY}") == "640 root:ollama"),
    "key-missing": Expected((r'"message":"Invalid API Key"', r'"code":401')),
    "key-given": Expected((rf'"id":"{re.escape(FILE)}"',)),
    "key-remove": Expected(then=lambda board: board.ask("/v1/models").status == 200),
    "stop": Expected(then=lambda board: board.process == 0),
    "by-hand": Expected((r'"status":"ok"', TEXT, r"127\.0\.0\.1:11434 .*llama-server"), serves=11434),
    "start": Expected(then=is_up),
    "listening-netstat": Expected((r"127\.0\.0\.1:11434 .* LISTEN +\d+/llama-server",)),
    "listening-ss": Expected((r'127\.0\.0\.1:11434 .*users:\(\("llama-server",pid=\d+',)),
    "logs-follow": Expected((r"ollama-cpp-server\[\d+\]: ",), endless=True),
    "logs-last": Expected((r"ollama-cpp-server\[\d+\]: ",)),
    "context": runs_with("--ctx-size", "1024"),
    "small-context": Expected((r'"status":"ok"', TEXT, r"127\.0\.0\.1:11500 .*llama-server"), serves=11500),
    "killed": Expected((rf"out of memory: Killed process \d+ \({HOG}\)",), after=HOGGED),
    "logs-reason": Expected((r"\S",)),
}


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


def test_every_block_of_the_page_has_an_expectation_and_every_expectation_a_block() -> None:
    assert list(blocks()) == list(EXPECTED)
    assert PAGE.count("```bash") == len(EXPECTED)
    assert set(re.findall(r"^ *(?:```|~~~) *(\w+)", PAGE, re.M)) == {"bash", "text"}


@pytest.mark.parametrize(
    "typed",
    [
        f"wget -P {MODELS} {HUB}/{REPOSITORY}/resolve/main/{FILE}",
        "systemctl restart ollama-cpp-server",
        "systemctl status ollama-cpp-server",
        'curl http://localhost:11434/v1/completions -H "Content-Type: application/json" -d',
        'curl http://localhost:11434/v1/chat/completions -H "Content-Type: application/json" -d',
        "curl http://localhost:11434/health",
        "curl http://localhost:11434/props",
        "http://localhost:11434/api/generate -d",
        f"llama-cli -m {MODELS}/{FILE}",
        f"/usr/bin/llama-server --model {MODELS}/{FILE} --host",
        "--port 11434 --threads 8 --ctx-size 4096",
        f"/usr/bin/llama-server --model {MODELS}/{FILE} --ctx-size 1024",
        "netstat -plant | grep 11434",
        "journalctl -u ollama-cpp-server -f",
        "curl http://localhost:11434/metrics",
    ],
)
def test_what_users_of_the_reference_system_type_is_on_the_page(typed: str) -> None:
    on_one_line = [" ".join(block.replace("\\\n", " ").split()) for block in blocks().values()]
    assert any(typed in line for line in on_one_line)


def test_the_table_of_settings_is_the_launchers() -> None:
    keys = [(f"{section}.{name}", key) for section, keys in KEYS.items() for name, key in keys.items()]
    wanted = [[f"`{name}`", f"`{json.dumps(key.default)}`", key.rule.text] for name, key in keys]
    assert [row[:3] for row in table("key")] == wanted


def test_the_page_shows_the_lines_that_the_launcher_says() -> None:
    shown = [block for block in re.findall(r"^```text\n(.*?)^```$", PAGE, re.M | re.S) if "holds no *.gguf" in block]
    assert shown == ["".join(f"{line}\n" for line in PROBLEMS.values())]


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


@pytest.mark.parametrize("spoil", PROBLEMS)
def test_the_launcher_says_what_is_wrong(spoil: str, target: Board) -> None:
    kept = "/root/kept"
    verb = "command" if spoil != "true" else "launch"
    target.run(f"rm -rf {kept}; mkdir {kept}; cp -p {CONFIG} {MODELS}/{FILE} {kept}; {spoil}")
    done = target.host.run(f"boardllama {verb}")
    target.run(f"rm -f {MODELS}/*.gguf; mv {kept}/config.json {CONFIG}; mv {kept}/{FILE} {MODELS}; rmdir {kept}")
    assert (done.rc, done.stderr.strip()) == (78, f"ollama-cpp-server: {PROBLEMS[spoil]}")


def test_with_two_models_and_no_choice_the_unit_fails_and_names_them(target: Board) -> None:
    second = f"{MODELS}/other.gguf"
    target.run(f"cp {MODELS}/{FILE} {second}; systemctl reset-failed {UNIT} || true; systemctl restart {UNIT} || true")
    assert f"ollama-cpp-server: {PROBLEMS[f'cp {MODELS}/{FILE} {second}']}" in await_failure(target)
    target.run(f'sed -i \'s/"default_model": null/"default_model": "other.gguf"/\' {CONFIG}')
    target.restart()
    assert target.ask("/props").json["model_alias"] == "other.gguf"
