"""What trained models take beside their estimate: guesses that are checked, a prompt cache that is full, two at once.

`.venv/bin/python -m tests.vm.real_memory --server PROGRAM` measures a llama-server of this machine with SmolLM2 and
MiniLM, and prints the table of docs/explanation/benchmarks.md.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from deploy.models.gguf.info import read_gguf_info
from deploy.models.memory.estimate import estimate_memory
from deploy.onboard.service import EMBED
from tests.real_models import minilm, smollm2
from tests.shapes import TINYLLAMA
from tests.vm.long_prompts import CHAT_WORDS, URL, ask, text
from tests.vm.resident import Case, Here, memory, served

CONVERSATIONS = 8  # more than a cache of 64 MiB holds
REPEATED, GUESSED_TOKENS = "red blue green white, " * 18, 400


def case_of(context_size: int, role: str = "chat", **keys: Any) -> Case:
    """A trained model, served. The shape is not looked at."""
    return Case(TINYLLAMA, context_size, repack=False, keys=tuple(keys.items()), role=role)


def repeat_words() -> None:
    """Four conversations at once, each of which has an answer that is easily guessed."""
    body = {"prompt": REPEATED, "n_predict": GUESSED_TOKENS, "temperature": 0, "ignore_eos": True}
    with ThreadPoolExecutor(4) as clients:
        list(clients.map(lambda _: requests.post(f"{URL}/completion", json=body, timeout=1800), range(4)))


def fill_cache() -> None:
    """One conversation after another, so that each pushes those before it out of the context."""
    for seed in range(CONVERSATIONS):
        ask([{"role": "user", "content": text(seed, CHAT_WORDS)}], 4)


def embed_texts() -> None:
    """Four texts at once, as long as the model takes."""
    with ThreadPoolExecutor(4) as clients:
        texts = [text(seed, 450) for seed in range(4)]
        list(clients.map(lambda one: requests.post(f"{URL}/v1/embeddings", json={"input": one}, timeout=600), texts))


def measure(at: Here, server: str, model: Path, case: Case, work: Callable[[], None]) -> tuple[int, int]:
    """Estimate and peak, in bytes."""
    with served(at, server, str(model), case):
        work()
        return estimate_memory(read_gguf_info(model), case.serving).total, memory(at)["VmHWM"]


def print_row(what: str, guess: int, real: int) -> None:
    print(f"| {what} | {guess / 1e6:.0f} | {real / 1e6:.0f} | {guess / real:.3f} |", flush=True)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm.real_memory")
    parser.add_argument("--server", required=True, help="a llama-server of this machine")
    server = parser.parse_args().server
    with TemporaryDirectory() as folder:
        at, chat, vectors = Here(folder), smollm2(), minilm()
        for kind, parallel in (("none", 4), ("ngram-map-k", 4), ("ngram-map-k", 1), ("ngram-mod", 4)):
            case = case_of(4096, parallel=parallel, speculative=kind)
            print_row(f"speculative {kind}, parallel {parallel}", *measure(at, server, chat, case, repeat_words))
        cached = measure(at, server, chat, case_of(2048, parallel=1, prompt_cache=64), fill_cache)
        print_row("parallel 1, prompt_cache 64", *cached)
        embedded = measure(at, server, vectors, case_of(512, EMBED), embed_texts)
        print_row("MiniLM for vectors", *embedded)
        print_row("the last two together", *map(sum, zip(cached, embedded, strict=True)))


if __name__ == "__main__":
    main()
