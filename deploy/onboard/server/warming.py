"""Reads known prompts at a start, so that the first client with one of them need not wait until it is read.

A release brings the prompts: bodies of requests, of which one token of an answer is asked. A process of its own asks,
once the server is ready and its release is committed: neither a start nor the gate, which measures the server's speed,
waits for prompts. Nobody else depends on that process: whatever goes wrong there is a line in the journal.

llama-server's files of slots would be read faster, but a damaged file ends the server, and a file of
other weights is taken.
"""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files import error_reason
from ..json_parts import parse_json
from ..release.releases import Release
from ..service import Service
from .config import first_key, url_of
from .config_keys import Config
from .health import ask_server

# A prompt of 2000 tokens takes ten minutes on the slowest board. A server that hangs is ended by its watcher.
PROMPT_SECONDS = 3600.0
LOOK_SECONDS = 1.0
# What a request may say of its answer, of which one token is asked.
OF_THE_ANSWER = ("max_tokens", "max_completion_tokens", "n_predict", "n", "stream", "stream_options", "model")


def begin_warming(release: Release, service: Service, config: Config, prompts: Sequence[Path]) -> None:
    """Leaves the work to a child of this process, which is about to become the server."""
    server = os.getpid()
    if os.fork() == 0:
        try:
            warm_server(release, service, config, server, prompts)
        finally:
            os._exit(0)


def warm_server(release: Release, service: Service, config: Config, server: int, prompts: Sequence[Path]) -> None:
    """Has the process `server`, our parent, read each prompt once. Returns early when that process is gone."""
    url, slots = url_of(config["server"]), config["inference"]["parallel"]
    while ask_server(url, "/health")[0] != 200 or release.is_tried:
        if os.getppid() != server:
            return
        time.sleep(LOOK_SECONDS)
    for number, prompt in enumerate(prompts):
        if os.getppid() == server:
            said = read_prompt(prompt, url, number % slots, first_key(service.api_key))
            print(f"{service.name}: {said}", file=sys.stderr, flush=True)


def read_prompt(prompt: Path, url: str, slot: int, key: str | None) -> str:
    """Has the server read the prompt into that slot: into the same one, two that begin alike would displace each other.

    Returns a line about it.
    """
    try:
        body = parse_json(prompt.read_bytes())
        asked = {name: value for name, value in body.items() if name not in OF_THE_ANSWER}
    except (OSError, ValueError, AttributeError) as error:
        return f"the prompt {prompt.name} cannot be read: {error_reason(error)}"
    began = time.monotonic()
    path, wanted = common_request(asked, url, key)
    status, answer = ask_server(url, path, wanted | {"max_tokens": 1, "id_slot": slot}, PROMPT_SECONDS, key)
    if status != 200:
        return f"the prompt {prompt.name} was answered with {status or 'nothing'}, {str(answer)[:200]}: it is not warm"
    return f"the prompt {prompt.name} is warm: {tokens_read(answer)} tokens, {time.monotonic() - began:.1f} s"


def common_request(asked: dict[str, Any], url: str, key: str | None) -> tuple[str, dict[str, Any]]:
    """Path and body of the request that reads what all conversations have in common which begin as `asked` does.

    A recurrent model goes back to its last checkpoint alone, which llama-server makes four tokens before the end of a
    prompt: what one conversation has there and another has not would have the other read everything.
    """
    if "messages" not in asked:
        return "/v1/completions", asked
    told = [asked | {"messages": continued(asked["messages"], letter)} for letter in "ab"]
    answers = [ask_server(url, "/apply-template", body, key=key)[1] for body in told]
    texts = [str(answer.get("prompt", "")) if isinstance(answer, dict) else "" for answer in answers]
    common = shared_beginning(*texts)
    return ("/v1/completions", {"prompt": common}) if common else ("/v1/chat/completions", asked)


def shared_beginning(one: str, other: str) -> str:
    """The text with which both begin."""
    length = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))
    return one[:length]


def continued(messages: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """The conversation with the text at the end of what its user said last."""
    *before, last = messages
    if last.get("role") == "user" and isinstance(last.get("content"), str):
        return [*before, last | {"content": last["content"] + text}]
    return [*messages, {"role": "user", "content": text}]


def tokens_read(answer: Any) -> int:
    """How many tokens the prompt of an answer had; 0 for an answer that does not say it."""
    try:
        return int(answer["usage"]["prompt_tokens"])
    except (KeyError, TypeError, ValueError):
        return 0
