"""docs/reference/api.md as data: its blocks by name, how each becomes a command that ends, and how a start fails."""

import re
import shlex
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

from deploy.models import smoke
from deploy.onboard.server.health import Health, State
from deploy.onboard.service import OLLAMA
from deploy.paths import REPO
from tests.board.board import Board
from tests.gguf_bytes import chat, gguf
from tests.pages import page_blocks, page_table

API_KEY, CONFIG, UNIT = OLLAMA.api_key, OLLAMA.config, OLLAMA.unit

PAGE = (REPO / "docs" / "reference" / "api.md").read_text()
MODELS = "/var/lib/ollama/models"
REPOSITORY = "TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF"
HUB = "https://huggingface.co"
FILE = "tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf"
# Seconds: what ends by itself must have ended, a server started by hand must answer; then what never ends is ended.
DEADLINE = 180
LOOK = 30


SPOIL = f"sed -i 's|%s|%s|' {CONFIG}"
EMBEDDER = b64encode(gguf(chat("bert"))).decode()
# What is done to a good target → what the launcher says then.
PROBLEMS = {
    f"rm {MODELS}/*.gguf": f"{MODELS} holds no *.gguf (nothing): put one there and restart",
    f"cp {MODELS}/{FILE} {MODELS}/other.gguf": (
        f"{MODELS} holds 2 *.gguf (other.gguf, {FILE}): set models.default_model in {CONFIG} to the one to serve"
    ),
    SPOIL % ('"default_model": null', '"default_model": "other.gguf"'): (
        f"models.default_model is other.gguf: {MODELS} holds {FILE}"
    ),
    f"echo '<!DOCTYPE html>' > {MODELS}/{FILE}": (
        f"{MODELS}/{FILE} is no GGUF file: it begins with b'<!DO'; fetch it again"
    ),
    f"rm {MODELS}/*.gguf; echo {EMBEDDER} | base64 -d > {MODELS}/bge-small-en-v1.5.gguf": (
        f"{MODELS}/bge-small-en-v1.5.gguf is an embedding model (bert), which answers with vectors; boardllama serves "
        "chat: take a chat model, or set role to embed"
    ),
    SPOIL % ('"default_threads": 2', "& // more"): (
        f"{CONFIG}: line 12, column 26: Expecting ',' delimiter; JSON has no comments and no trailing comma"
    ),
    SPOIL % ("default_threads", "threads"): (
        f"{CONFIG}: models.threads is unknown: did you mean models.default_threads?"
    ),
    SPOIL % ("11434", "99999"): f"{CONFIG}: server.port is 99999: must be a whole number from 1 to 65535",
    SPOIL % ("127.0.0.1", "0.0.0.0"): (
        f"{CONFIG}: server.host is 0.0.0.0: beyond loopback an API key is needed in {API_KEY} "
        f"(or server.allow_unauthenticated true, which lets anyone on the network in)"
    ),
    "true": (
        "cannot listen on server.host 127.0.0.1, server.port 11434: Address already in use; `ss -ltnp` shows who does"
    ),
}


TEXT = r'"choices":\[\{"text":"[^"]+"'
CHAT = r'"message":\{"role":"assistant","content":"[^"]+"'
# A program of the target whose memory has no bound, within one.
HOG = "tail"
# The kernel's words reach the journal a moment after systemd has seen the end.
TOLD = f"until journalctl -k --no-pager | grep -q 'Killed process .*({HOG})'; do sleep 0.2; done"
HOGGED = (
    f"systemd-run --quiet --wait -p MemoryMax=16M -p MemorySwapMax=0 {HOG} /dev/zero || true; "
    f"timeout 30 bash -c {shlex.quote(TOLD)}"
)
ANSWER = r"\n> Hello! Tell me a joke\.\n\s*\w+.*\w+"


@dataclass(frozen=True)
class Expected:
    """What a block does. `says`: regular expressions, each found in what it prints; `then`: what holds afterwards.

    `after` has happened on the target before it is typed; `typed` is what the user types while it runs; `endless` until
    Ctrl-C; `serves` the port that it must answer on.
    """

    says: tuple[str, ...] = ()
    after: str = ""
    typed: str = ""
    endless: bool = False
    serves: int = 0
    then: Callable[[Board], bool] = lambda _board: True

    def command(self, block: str) -> str:
        """A shell command that runs the block as its user would, prints what it says, and ends."""
        run = f"bash -e -c {shlex.quote(block)}"
        if self.serves:
            return served(run, self.serves)
        typed = f"printf %s {shlex.quote(self.typed)}"
        if self.endless:  # whoever types stays there
            return f"{{ {typed}; sleep {LOOK}; }} | timeout --signal INT {LOOK} {run}; test $? -eq 124"
        return f"{typed} | timeout {DEADLINE} {run}"


def served(run: str, port: int) -> str:
    """Runs a server until it has answered a question; prints the answers, and who listens on the port."""
    curl = f"curl -fsS --retry {DEADLINE} --retry-delay 1 --retry-all-errors --max-time {DEADLINE}"
    url = f"http://localhost:{port}"
    return (
        f"timeout {DEADLINE} {run} > /tmp/by-hand.log 2>&1 & pid=$!;"
        f' {curl} {url}/health && {curl} {url}/v1/completions -d \'{{"prompt": "Hello", "max_tokens": 2}}\''
        f" && ss -ltnpH sport = :{port}; status=$?;"
        f" kill $pid; wait $pid; test $status -eq 0 || {{ cat /tmp/by-hand.log; exit $status; }}"
    )


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


def blocks() -> dict[str, str]:
    """Every bash block of the page."""
    return page_blocks(PAGE, "bash")


def table(first_cell: str) -> list[list[str]]:
    """The table of the page that begins with that cell."""
    return page_table(PAGE, first_cell)


def journal(board: Board) -> list[str]:
    """What the service's last start said."""
    invocation = board.run(f"systemctl show --property InvocationID --value {UNIT}")
    return board.run(f"journalctl _SYSTEMD_INVOCATION_ID={invocation} -o cat --no-pager").splitlines()


def await_failure(board: Board) -> list[str]:
    """Status 78 within 30 s, and no second try. Returns the journal of that start."""
    board.run(f"timeout 30 sh -c 'until systemctl is-failed --quiet {UNIT}; do sleep 0.5; done'")
    assert set(board.run(f"systemctl show -p ExecMainStatus -p NRestarts {UNIT}").split()) == {
        "ExecMainStatus=78",
        "NRestarts=0",
    }
    return journal(board)
