"""`python -m tests.bench.latency BUILD BUILD...`: what requests cost beside their tokens, builds in turn.

A BUILD is a folder of ~/.cache/boardllama/builds. Its server runs under emulation of a Cortex-A76 with one thread and
serves the smoke model, whose tokens cost next to nothing. Each kind of request is sent once before it is measured:
QEMU translates the code then, which would count for more than what the code does.
"""

import json
import statistics
import sys
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from deploy.build.proof import emulator_command
from deploy.cpu import find_cpu
from deploy.errors import BoardllamaError
from deploy.models.smoke import smoke_model
from deploy.vm.ports import free_ports
from tests.bench.emulation import START_SECONDS, is_healthy, last_line, running

ROUNDS = 5
SERVER = "llama-server"
TEXT = "A board of 4 cores answers, and 12 requests wait; none is lost. " * 625  # 40 kB
SCHEMA = {
    "type": "object",
    "required": ["name", "age", "tags"],
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "maxItems": 6},
    },
}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "x", "parameters": SCHEMA}}]
MESSAGES = [{"role": "user", "content": "Tell me " * 20}]
SAMPLED = {"temperature": 0.8, "top_k": 40, "top_p": 0.9, "min_p": 0.05, "repeat_penalty": 1.1, "seed": 1}
STREAM: dict[str, Any] = {"messages": MESSAGES, "temperature": 0, "stream": True}

# Kind of request -> how often it is sent, its path, and its body.
REQUESTS: dict[str, tuple[int, str, dict[str, Any]]] = {
    "/health": (300, "/health", {}),
    "40 kB of text to tokens": (8, "/tokenize", {"content": TEXT}),
    "chat template, 10 messages and a tool": (20, "/apply-template", {"messages": MESSAGES * 10, "tools": TOOLS}),
    "100 tokens, streamed": (1, "/v1/chat/completions", {**STREAM, "max_tokens": 100, "ignore_eos": True}),
    "100 tokens, sampled": (1, "/completion", {**SAMPLED, "prompt": "x", "n_predict": 100, "ignore_eos": True}),
    "100 tokens of a schema": (1, "/completion", {"prompt": "x", "n_predict": 100, "json_schema": SCHEMA, "seed": 1}),
    "60 tokens with a tool": (1, "/v1/chat/completions", {**STREAM, "max_tokens": 60, "tools": TOOLS}),
}


def send_requests(address: str, kind: str) -> None:
    """Sends the requests of that kind, one after the other, and reads their answers."""
    times, path, body = REQUESTS[kind]
    content = json.dumps(body).encode() if body else None
    for _ in range(times):
        asked = urllib.request.Request(address + path, content, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=600) as answer:
            answer.read()


def spent_seconds(process: int) -> float:
    """Processor time of a process by clock_getcpuclockid(3): /proc has hundredths, as long as 60 answers of /health."""
    return time.clock_gettime(~process << 3 | 2)


def request_costs(build: Path) -> dict[str, float]:
    """CPU seconds of that build's server by kind of request. Raises BoardllamaError where it does not answer."""
    (port,) = free_ports(1)
    words = f"--port {port} -c 2048 -np 1 -t 1 --no-warmup --jinja".split()
    command = [*emulator_command(find_cpu("cortex-a76")), str(build / SERVER), "-m", str(smoke_model()), *words]
    with running(command) as (process, said):
        began = time.monotonic()
        while not is_healthy(port):
            if process.poll() is not None or time.monotonic() > began + START_SECONDS:
                raise BoardllamaError(f"{build / SERVER} did not answer: {last_line(said)}")
            time.sleep(0.1)
        address = f"http://127.0.0.1:{port}"
        return {kind: added_seconds(process.pid, partial(send_requests, address, kind)) for kind in REQUESTS}


def added_seconds(process: int, ask: Callable[[], None]) -> float:
    """CPU seconds that the process takes when it is asked for the second time."""
    ask()
    before = spent_seconds(process)
    ask()
    return spent_seconds(process) - before


def compared_costs(kind: str, rounds: list[list[dict[str, float]]]) -> str:
    """A row of the table: each build's median, least and most in milliseconds, and its median by that of the first."""
    builds = [[costs[kind] * 1000 for costs in of_build] for of_build in zip(*rounds, strict=True)]
    first = statistics.median(builds[0])
    cells = [
        f"{statistics.median(one):.0f} ({min(one):.0f} to {max(one):.0f}), {statistics.median(one) / first:.2f}x"
        for one in builds
    ]
    return f"| {kind} | {' | '.join(cells)} |"


def main(words: list[str]) -> None:
    builds = [Path(word).expanduser() for word in words]
    unfit = [str(build) for build in builds if not (build / SERVER).is_file()]
    if unfit or not builds:
        raise BoardllamaError(f"{', '.join(unfit) or 'no folder'}: name folders that hold {SERVER}")
    rounds = [[request_costs(build) for build in builds] for _ in range(ROUNDS)]
    print(f"| CPU ms | {' | '.join(build.name for build in builds)} |\n|{'---|' * (len(builds) + 1)}")
    print("\n".join(compared_costs(kind, rounds) for kind in REQUESTS))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BoardllamaError as error:
        sys.exit(f"latency: {error}")
