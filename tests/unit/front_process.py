"""A front as a process of its own, before two servers that say who they are."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from deploy.onboard.front.routes import Route
from deploy.onboard.server.bounds import BROKER_ENVIRONMENT
from deploy.paths import REPO
from deploy.vm.ports import free_ports
from tests.unit.llama_server import await_answer

ONBOARD = REPO / "deploy" / "onboard"
SECONDS = 20


class NamedServer:
    """A server of a model behind the front. It answers each request with who it is, in two pieces, once `hold` is set.
    `asked`: heads and bodies as they came.
    """

    def __init__(self, name: str) -> None:
        self.name, self.asked, self.hold = name, list[tuple[bytes, bytes]](), threading.Event()
        self.hold.set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port, self.gone = self.listener.getsockname()[1], threading.Event()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=[client], daemon=True).start()

    def answer(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as came:
            head = b"".join(iter(came.readline, b"\r\n"))
            sizes = [line.split(b":")[1] for line in head.splitlines() if line.lower().startswith(b"content-length:")]
            self.asked.append((head, came.read(int(sizes[0])) if sizes else b""))
            while not self.hold.wait(0.05):
                client.setblocking(False)
                try:
                    if client.recv(1) == b"":
                        self.gone.set()
                        return
                except BlockingIOError:
                    client.setblocking(True)
            answer = json.dumps({"server": self.name}).encode()
            client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nX-Own: kept\r\n\r\n" + answer[:4])
            client.sendall(answer[4:])

    def end(self) -> None:
        """Nothing listens there any more."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class RunningFront:
    """A front that runs. The servers behind it: `chat`, `vectors` for embeddings, and `ollama`, which owns /api/."""

    def __init__(self, folder: Path, timeout: float, slots: int) -> None:
        program = shutil.copy(ONBOARD / "boardllama", folder)
        (folder / "onboard").symlink_to(ONBOARD)
        self.chat, self.vectors, self.ollama = (NamedServer(name) for name in ("chat", "vectors", "ollama"))
        (self.port,) = free_ports(1)
        self.started = folder / "started"  # of the chat model's server
        routes = [
            Route("smol", "smol.gguf", "chat", self.chat.port, slots, started=str(self.started)),
            Route("mini", "mini.gguf", "embed", self.vectors.port, slots),
            Route("ollama", "", "ollama_api", self.ollama.port, slots, "/api/"),
        ]
        told = {"host": "127.0.0.1", "port": self.port, "timeout": timeout}
        words = json.dumps(told | {"routes": [route._asdict() for route in routes]})
        line = [sys.executable, "-IS", program, "front", words]
        self.process = subprocess.Popen(line, env=os.environ | BROKER_ENVIRONMENT)
        await_answer(self.port)
        self.chat.asked.clear()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def memory(self) -> int:
        """Its resident memory at the peak, in kB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])

    def ask(self, path: str, body: Any = None, **options: Any) -> requests.Response:
        """GET, or POST of a body."""
        method = "GET" if body is None else "POST"
        return requests.request(method, self.url + path, json=body, timeout=SECONDS, **options)

    def answered_by(self, path: str, body: Any = None) -> str:
        """Which server answers."""
        return str(self.ask(path, body).json()["server"])

    def say(self, text: bytes) -> bytes:
        """What comes for these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as client:
            client.sendall(text)
            return b"".join(iter(lambda: client.recv(65536), b""))


@contextmanager
def running(timeout: float = 300, slots: int = 4) -> Iterator[RunningFront]:
    """A front until the end of the block."""
    with TemporaryDirectory() as folder:
        front = RunningFront(Path(folder), timeout, slots)
        try:
            yield front
        finally:
            front.process.kill()
            front.process.wait()


@contextmanager
def waiting_client(front: RunningFront) -> Iterator[socket.socket]:
    """A client that has asked the chat model, and waits."""
    with socket.create_connection(("127.0.0.1", front.port), timeout=SECONDS) as client:
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        await_true(lambda: front.chat.asked)
        time.sleep(0.1)
        yield client


def await_true(what: Callable[[], Any]) -> None:
    """Returns when it is so."""
    end = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)
