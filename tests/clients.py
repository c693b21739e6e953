"""Clients of llama-server for measurements of its memory; in the standard library alone, since they run on a target.

`python3 clients.py chats PORT TURNS WORDS SECONDS` holds four conversations at once and prints how many turns were
answered; `python3 clients.py mixed PORT SECONDS` does everything at once that a server must survive, and prints counts.
"""

import http.client
import json
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

CHATS = 4  # as many as the server has slots
ANSWER = 4  # tokens
FORM_SECONDS = 100  # for an answer in a form, on an emulated machine
WORDS = ("the", "board", "bread", "boat")  # one token each in the vocabulary of tests/shapes.py
Talk = Callable[["Client"], None]


class Client:
    """One client, until its time is over."""

    def __init__(self, port: int, until: float, seed: int = 0) -> None:
        self.port, self.until = port, until
        self.random = random.Random(seed)

    def seconds(self) -> float:
        """How long it may still wait."""
        return max(0.1, self.until - time.monotonic())

    def ask(self, path: str, body: Any = None, raw: bytes | None = None) -> tuple[int, bytes]:
        """Status and body of an answer. Raises OSError when there is none in time."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.seconds())
        data = json.dumps(body).encode() if raw is None and body is not None else raw
        try:
            connection.request("POST" if data is not None else "GET", path, data)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def chat(self, messages: list[dict[str, str]], **more: Any) -> tuple[int, str]:
        """Status, and the words of the answer, "" without one."""
        body = {"messages": messages, "max_tokens": ANSWER, **more}
        status, answer = self.ask("/v1/chat/completions", body)
        content = json.loads(answer)["choices"][0]["message"].get("content") if status == 200 else ""
        return status, content or ""

    def words(self, count: int) -> str:
        """So many tokens of the smoke model's vocabulary."""
        return " ".join(self.random.choice(WORDS) for _ in range(count))


def converse(client: Client, turns: int, words: int) -> int:
    """One conversation that begins with so many words; how many turns were answered in time."""
    messages = [{"role": "user", "content": client.words(words)}]
    for turn in range(turns):
        try:
            status, answer = client.chat(messages)
        except (OSError, http.client.HTTPException):
            return turn
        if status != 200:
            return turn
        # Random words are read back as many tokens.
        messages += [{"role": "assistant", "content": answer[:4]}, {"role": "user", "content": client.words(2)}]
    return turns


def at_once(count: int, live: Callable[[int], None]) -> None:
    """Calls `live` with 0, 1, … in a thread each, to the end of all."""
    threads = [threading.Thread(target=live, args=(seed,)) for seed in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def chats(port: int, turns: int, words: int, seconds: float) -> int:
    """Conversations at once, `turns` in all; how many were answered.

    The last request keeps to a grammar, which is held against all tokens of the vocabulary at once: the peak of memory.
    """
    until, answered = time.monotonic() + seconds, list[int]()
    at_once(CHATS, lambda seed: answered.append(converse(Client(port, until, seed), turns // CHATS, words)))
    form = {"prompt": WORDS[0], "n_predict": ANSWER, "grammar": 'root ::= ("yes" | "no" | " ")*'}
    status, _ = Client(port, time.monotonic() + FORM_SECONDS).ask("/completion", form)
    return sum(answered) if status == 200 else 0


def short_chat(client: Client) -> None:
    converse(client, 3, 10)


def long_chat(client: Client) -> None:
    """Until the context is full, and a few turns more, which are refused."""
    messages = [{"role": "user", "content": client.words(300)}]
    for _ in range(12):
        _, answer = client.chat(messages, max_tokens=40)
        messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": client.words(120)}]


def thoughtful_chat(client: Client) -> None:
    """Earlier answers are left out or changed, as thinking is: the common beginning ends before them."""
    asked = client.words(200)
    for _ in range(4):
        client.chat([{"role": "user", "content": asked}])
        asked = asked[: len(asked) * 3 // 4] + client.words(40)


def cut_stream(client: Client) -> None:
    """A stream whose client goes away in the middle; some are of the kind that the server keeps for a while."""
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=client.seconds())
    body = {"messages": [{"role": "user", "content": client.words(40)}], "stream": True, "max_tokens": 200}
    headers = {"X-Conversation-Id": str(client.random.random())} if client.random.random() < 0.5 else {}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    connection.getresponse().read(client.random.randrange(2000))
    connection.close()


def big_prompt(client: Client) -> None:
    """More than any context here holds: refused after it was read."""
    client.ask("/completion", {"prompt": client.words(client.random.choice((3_000, 20_000))), "n_predict": 4})


def big_body(client: Client) -> None:
    client.ask("/tokenize", {"content": "x" * 50_000})


def structured(client: Client) -> None:
    """A schema, a grammar, a tool."""
    one = {"role": "user", "content": client.words(20)}
    properties = {f"key{index}": {"type": "string", "maxLength": 20} for index in range(20)}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    client.chat([one], response_format={"type": "json_schema", "json_schema": {"schema": schema}}, max_tokens=60)
    client.ask("/completion", {"prompt": one["content"], "n_predict": 20, "grammar": 'root ::= ("yes" | "no" | " ")*'})
    tool = {"type": "function", "function": {"name": "turn", "description": "x", "parameters": schema}}
    client.chat([one], tools=[tool], max_tokens=20)


def probabilities(client: Client) -> None:
    client.chat([{"role": "user", "content": client.words(20)}], logprobs=True, top_logprobs=20, max_tokens=60)
    client.ask("/completion", {"prompt": client.words(9), "n_predict": 30, "n_probs": 100})


def odd(client: Client) -> None:
    """What is refused: embeddings of a chat server, broken JSON, unknown paths, wrong types."""
    for content in ("", "é" * 3000, ["a", 7], None):
        client.ask("/v1/embeddings", {"input": content})
    client.ask("/v1/chat/completions", raw=b'{"messages": [' * 400)
    client.ask("/completion", {"prompt": {"prompt": []}, "n_predict": "many"})
    client.ask("/nothing-here")


def several(client: Client) -> None:
    client.ask("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}], "n": 3, "max_tokens": ANSWER})


def watch(client: Client) -> None:
    for path in ("/metrics", "/slots", "/props", "/v1/models", "/health"):
        client.ask(path)


def idle(client: Client) -> None:
    """Connections that ask nothing, and some that never end to ask."""
    held = [socket.create_connection(("127.0.0.1", client.port), timeout=5) for _ in range(20)]
    for connection in held[::2]:
        connection.send(b"POST /completion HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    time.sleep(min(20, client.seconds()))
    for connection in held:
        connection.close()


KINDS: tuple[Talk, ...] = (
    *(short_chat, long_chat, thoughtful_chat, cut_stream, big_prompt, big_body, structured, probabilities, odd),
    *(several, watch, idle),
)


def mixed(port: int, seconds: float, clients: int = 6) -> Counter[str]:
    """So many clients at once, each of which does one thing after the other; how often each was done, or failed."""
    until, done = time.monotonic() + seconds, Counter[str]()

    def live(seed: int) -> None:
        client = Client(port, until, seed)
        while time.monotonic() < until:
            kind = client.random.choice(KINDS)
            try:
                kind(client)
                done[kind.__name__] += 1
            except (OSError, http.client.HTTPException):  # a crowd waits, and some give up
                done[f"{kind.__name__}, no answer"] += 1
                time.sleep(1)

    at_once(clients, live)
    return done


if __name__ == "__main__":
    what, port, *numbers = sys.argv[1:]
    if what == "chats":
        turns, words, seconds = map(int, numbers)
        print(chats(int(port), turns, words, seconds))
    else:
        print(json.dumps(mixed(int(port), float(numbers[0]))))
