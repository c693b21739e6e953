"""OpenAI's own clients at work, in a process of their own: `python -m tests.unit.gateway_load URL KEY MODEL CLIENTS`.

Streams and whole answers, one after the other and without a second try, until standard input ends. Then it prints how
many were answered, and what went wrong: {"answered": 9, "failed": []}.
"""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai

WORDS = 12


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
            choices = [
                piece.choices[0] for piece in client.chat.completions.create(stream=True, **asked) if piece.choices
            ]
            assert choices[-1].finish_reason, f"a stream ended after {len(choices)} pieces"
        else:
            assert client.chat.completions.create(**asked).choices[0].message.content


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
