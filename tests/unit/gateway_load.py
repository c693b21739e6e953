"""OpenAI's own clients at work, in a process of their own: `python -m tests.unit.gateway_load URL KEY MODEL CLIENTS`.

Streams and whole answers, one after the other and without a second try, until standard input ends. Then it prints how
many were answered, and what went wrong: {"answered": 9, "failed": []}. Boards answer with their names: of a stream that
was cut it says which board it came from.
"""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai

WORDS = 12


class Cut(Exception):
    """A stream that is not whole."""


class Load:
    """The clients. `failed`: what went wrong."""

    def __init__(self, url: str, key: str, model: str) -> None:
        self.url, self.key, self.model = url, key, model
        self.answered, self.failed, self.over = 0, list[str](), threading.Event()

    def live(self, number: int) -> None:
        """One client, until all is over."""
        client = openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0, timeout=120)
        while not self.over.is_set():
            try:
                self.ask(client, stream=number % 2 == 0)
                self.answered += 1
            except Exception as error:
                self.failed.append(f"{type(error).__name__}: {error}")
                self.over.wait(0.5)

    def ask(self, client: openai.OpenAI, stream: bool) -> None:
        """One question; raises when its answer is not whole."""
        asked: Any = {"model": self.model, "messages": [{"role": "user", "content": "x"}], "max_tokens": WORDS}
        if stream:
            read_stream(client.chat.completions.create(stream=True, **asked))
        else:
            assert client.chat.completions.create(**asked).choices[0].message.content


def read_stream(stream: Any) -> None:
    """Reads a stream to its end. Raises Cut when that comes too early."""
    choices, why = list[Any](), "no more came"
    try:
        # What came before an error stays in the list.
        choices.extend(piece.choices[0] for piece in stream if piece.choices)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    if not choices or not choices[-1].finish_reason:
        board = str(choices[0].delta.content).strip() if choices else "nobody"
        raise Cut(f"a stream of {board} ended after {len(choices)} pieces: {why}")


def main(url: str, key: str, model: str, clients: str) -> None:
    """Works until standard input ends."""
    load = Load(url, key, model)
    with ThreadPoolExecutor(int(clients)) as pool:
        for number in range(int(clients)):
            pool.submit(load.live, number)
        print("at work", flush=True)
        sys.stdin.read()
        load.over.set()
    print(json.dumps({"answered": load.answered, "failed": load.failed}))


if __name__ == "__main__":
    main(*sys.argv[1:])
