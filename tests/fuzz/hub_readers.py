"""Readers of what hubs answer."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import Any

import httpx2
import pytest
from huggingface_hub import close_session

from deploy.errors import BoardllamaError
from deploy.models.hub import patience
from deploy.models.hub.fetch import ask_hub
from deploy.models.hub.hub_model import HubModel
from deploy.models.hub.pin import ask_licence
from tests.fuzz.memory_file import scratch
from tests.fuzz.reader import Reader, require_line
from tests.hub_server import REVISION


class RawHub:
    """A hub whose answer to every request is the same bytes."""

    def __init__(self) -> None:
        self.answer = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def serve_forever(self) -> None:
        while True:
            client, _ = self.listener.accept()
            with client, suppress(OSError):
                asked = b""
                while b"\r\n\r\n" not in asked and (piece := client.recv(65536)):
                    asked += piece
                client.sendall(self.answer)


@cache
def raw_hub() -> RawHub:
    return RawHub()


def look_up(known: Callable[..., Any], host: str, *words: Any, **more: Any) -> Any:
    """The addresses of this machine; other names take nobody's time."""
    if host != "127.0.0.1":
        raise socket.gaierror(socket.EAI_NONAME, "no such name")
    return known(host, *words, **more)


@contextmanager
def user_of_hub() -> Iterator[None]:
    """The settings of a user whose hub is that one, and who waits for nothing."""
    (empty := scratch() / "authorities").mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in [one for one in os.environ if one.lower().endswith("_proxy")]:
            patch.delenv(name)
        patch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{raw_hub().listener.getsockname()[1]}")
        patch.setenv("CURL_CA_BUNDLE", str(empty))
        patch.setenv("BOARDLLAMA_CACHE", str(scratch()))
        patch.setattr(patience, "sleep", lambda seconds: None)
        patch.setattr(socket, "getaddrinfo", partial(look_up, socket.getaddrinfo))
        close_session()
        yield
    close_session()


def ask_for_file(data: bytes) -> None:
    """What a hub says of a file."""
    raw_hub().answer = data
    ask_hub("o/n", "x.gguf", REVISION, lambda line: require_line(str(line)))


def ask_for_licence(data: bytes) -> None:
    """What a hub says of a repository, by the bytes behind a good head."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    raw_hub().answer = head % len(data) + data
    ask_licence(HubModel("o/n", "x.gguf", REVISION, "0" * 64, 1))


def read_waits(data: bytes) -> None:
    """How long a hub that is busy asks to wait."""
    value = data.decode("latin-1")
    for name in ("Retry-After", "RateLimit"):
        fields = [(name.encode(), data), (b"Date", b"Sun, 29 Nov 2026 15:00:00 GMT")]
        seconds = patience.asked_wait(httpx2.Response(429, headers=fields))
        if seconds is not None and not seconds >= 0:
            raise AssertionError(f"{value!r} asks for {seconds} s")


PROMISE = b'HTTP/1.1 200 OK\r\nX-Repo-Commit: %b\r\nETag: "%b"\r\nX-Linked-Size: 10\r\nContent-Length: 10\r\n\r\n' % (
    REVISION.encode(),
    b"0" * 64,
)
REFUSALS = [
    b"HTTP/1.1 %d X\r\nX-Error-Code: RepoNotFound\r\nRetry-After: 3\r\n\r\n" % status for status in (302, 404, 429)
]
LICENCE = {"id": "o/n", "sha": "a", "cardData": {"license": "mit"}, "siblings": [{"rfilename": "x"}], "tags": ["a"]}
DATES = [b"120", b"Fri, 27 Nov 2026 12:00:00 GMT", b'"default";r=0;t=30', b"Fri, 27 Nov 2026 12:00:00 +2500"]

HUB = (BoardllamaError,)

HUB_READERS = (
    Reader("hub-file", ask_for_file, lambda: [PROMISE, *REFUSALS], HUB, (b"Location: //x\r\n",), 0.1, user_of_hub),
    Reader("hub-licence", ask_for_licence, lambda: [json.dumps(LICENCE).encode()], HUB, (), 0.3, user_of_hub),
    Reader("hub-wait", read_waits, lambda: DATES, (), (b"GMT", b"Jan", b"t="), 6),
)
