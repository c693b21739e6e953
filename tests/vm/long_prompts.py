"""How long a client waits for a prompt that the server knows, and what conversations that take turns read again.

`.venv/bin/python -m tests.vm.long_prompts --server PROGRAM` measures a llama-server of this machine with SmolLM2-135M,
and prints the tables of docs/explanation/benchmarks.md.
"""

import argparse
import json
import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from deploy.onboard.server.warming import read_prompt
from tests.real_models import smollm2
from tests.shapes import TINYLLAMA
from tests.vm.resident import PORT, Case, Here, served

URL = f"http://127.0.0.1:{PORT}"
WORDS = "time people way day man thing woman life child world school state family student group country problem".split()
SYSTEM_WORDS = 1940  # with the template 2000 tokens or a few more
CHAT_WORDS = 470  # 500 tokens
TURNS = 3


def text(seed: int, words: int) -> str:
    """So many words, which are a token each."""
    source = random.Random(seed)
    return " ".join(source.choice(WORDS) for _ in range(words))


def ask(messages: list[dict[str, str]], tokens: int) -> dict[str, Any]:
    """An answer of at most so many tokens, with its timings."""
    body = {"messages": messages, "max_tokens": tokens, "temperature": 0}
    answer: dict[str, Any] = requests.post(f"{URL}/v1/chat/completions", json=body, timeout=600).json()
    return answer


def first_token(system: str) -> float:
    """Seconds until the first token of an answer to a question with that system prompt."""
    began = time.monotonic()
    ask([{"role": "system", "content": system}, {"role": "user", "content": "What time is it?"}], 1)
    return time.monotonic() - began


def first_tokens(at: Here, server: str, model: str, warm: bool) -> float:
    """Seconds until the first token after a start, with the prompt read before or not."""
    system = text(1, SYSTEM_WORDS)
    prompt = Path(at.folder) / "kitchen.json"
    prompt.write_text(
        json.dumps({"messages": [{"role": "system", "content": system}, {"role": "user", "content": "x"}]})
    )
    with served(at, server, model, Case(TINYLLAMA, 4096, repack=False)):
        if warm:
            print(read_prompt(prompt, URL, 0, None))
        return first_token(system)


def read_again(at: Here, server: str, model: str, count: int, **keys: Any) -> list[str]:
    """Tokens that the last of `count` conversations reads in each turn, of all in it."""
    found = []
    with served(at, server, model, Case(TINYLLAMA, 2048, repack=False, keys=tuple(keys.items()))):
        chats = [[{"role": "user", "content": text(seed, CHAT_WORDS)}] for seed in range(count)]
        for _ in range(TURNS):
            for chat in chats:
                answer = ask(chat, 4)
                said = answer["choices"][0]["message"]["content"]
                chat += [{"role": "assistant", "content": said}, {"role": "user", "content": "and then"}]
            timings = answer["timings"]
            found.append(f"{timings['prompt_n']} of {timings['prompt_n'] + timings['cache_n']}")
    return found


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm.long_prompts")
    parser.add_argument("--server", required=True, help="a llama-server of this machine")
    server = parser.parse_args().server
    with TemporaryDirectory() as folder:
        at = Here(folder)
        model = at.copy(smollm2(), "served.gguf")
        cold, warm = (first_tokens(at, server, model, warm=warm) for warm in (False, True))
        print(f"first token: {cold:.2f} s, warm {warm:.2f} s, {warm / cold:.3f}")
        for count, parallel, prompt_cache in ((2, 4, 0), (2, 1, 0), (2, 1, 256), (6, 4, 0), (6, 4, 256)):
            rows = read_again(at, server, model, count, parallel=parallel, prompt_cache=prompt_cache)
            print(f"| {count} | {parallel} | {prompt_cache} | {' | '.join(rows)} |", flush=True)


if __name__ == "__main__":
    main()
