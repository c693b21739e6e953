"""A gateway that runs: real haproxy and the real keeper on the loopback, before boards that say who they are."""

import json
import os
import pwd
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from deploy.fleet.gateway.gateway_settings import GatewaySettings
from deploy.fleet.gateway.haproxy_files import haproxy_files
from deploy.hosts.release import sha256_hex
from deploy.onboard.gateway.board_table import BoardEntry, BoardTable, ServedModel
from deploy.onboard.gateway.gateway_places import GatewayPlaces
from deploy.onboard.gateway.runtime_api import board_counters, server_rows
from deploy.paths import REPO
from deploy.setting_fields import role_settings
from deploy.vm.ports import free_ports
from tests.unit.hurried_gateway import hurried
from tests.unit.test_settings import ALL

CLIENT_KEY = "ann-has-this-key-of-hers"
NAMES = ("localhost", "127.0.0.1")
SECONDS = 20
KEEP = "from tests.unit.hurried_gateway import keep; keep({!r}, {!r}, {})"


class Board:
    """A board's server: it answers a stream of words, slowly, and ends what is under way when it is stopped. `asked`:
    models, keys and paths as they came. `mute`: it gives no tokens. `left`: how many went away meanwhile.
    """

    def __init__(self, name: str, slots: int = 2, key: str = "") -> None:
        self.name, self.slots, self.key = name, slots, key or f"key-of-{name}"
        self.asked, self.mute, self.pause = list[tuple[str, str, str]](), False, 0.01
        (self.port,) = free_ports(1)
        self.most = self.busy = self.left = 0
        self.counting = threading.Lock()
        self.start()

    def start(self) -> None:
        """Listens."""
        board, stopped = self, threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                known = self.path == "/health" or self.headers.get("Authorization") == f"Bearer {board.key}"
                board.answer(self, 200 if known else 401, {"status": "ok"})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                key = self.headers.get("Authorization", "")
                board.asked.append((body.get("model", ""), key, self.path))
                if key != f"Bearer {board.key}":
                    return board.answer(self, 401, {"error": {"message": "Invalid API Key"}})
                while board.mute and not stopped.wait(0.05):
                    if has_left(self.connection):
                        board.left += 1
                        return None
                return board.stream(self, body, stopped)

            def log_message(self, *_words: Any) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        self.server, self.stopped = ThreadingHTTPServer(("127.0.0.1", self.port), Handler), stopped
        threading.Thread(target=self.server.serve_forever, args=[0.02], daemon=True).start()

    def stop(self) -> None:
        """Listens no more, and cuts what it was answering."""
        self.stopped.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        with suppress(OSError):
            handler.wfile.write(text)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Counts a request. It must end before the last byte of the answer, upon which the next may come."""
        with self.counting:
            self.busy += 1
            self.most = max(self.most, self.busy)
        try:
            yield
        finally:
            with self.counting:
                self.busy -= 1

    def stream(self, handler: BaseHTTPRequestHandler, body: dict[str, Any], stopped: threading.Event) -> None:
        """Words as llama-server streams them, or all of them in one answer."""
        count, streams = int(body.get("max_tokens") or 8), bool(body.get("stream"))
        handler.close_connection = True
        with suppress(OSError):
            if streams:
                handler.send_response(200)
                handler.send_header("Content-Type", "text/event-stream")
                handler.send_header("Connection", "close")
                handler.end_headers()
            with self.working():
                for number in range(count):
                    if stopped.wait(self.pause):
                        return
                    end = "length" if number == count - 1 else None
                    word = {"id": "1", "choices": [{"index": 0, "delta": {"content": self.name}, "finish_reason": end}]}
                    if streams:
                        handler.wfile.write(f"data: {json.dumps(word)}\n\n".encode())
            if streams:
                handler.wfile.write(b"data: [DONE]\n\n")
            else:
                words = [{"index": 0, "message": {"role": "assistant", "content": self.name}, "text": self.name}]
                self.answer(handler, 200, {"id": "1", "object": "chat.completion", "choices": words})


def has_left(connection: socket.socket) -> bool:
    """Whether the other side has closed; llama-server ends what it computes then."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def gateway_settings(folder: Path, **told: Any) -> GatewaySettings:
    """The settings of a gateway with one client, but for what is told."""
    clients = folder / "clients"
    if not clients.exists():
        clients.write_text(f"# who may ask\nann {CLIENT_KEY}\n")
    own = {"gateway_clients": str(clients), "gateway_tls": "off", "gateway_host": "127.0.0.1"}
    return role_settings(GatewaySettings, ALL | own | told)


def entry(board: Board, *offers: ServedModel) -> BoardEntry:
    """The board as a gateway knows it: with a chat model unless others are named."""
    return BoardEntry(
        board.name,
        "127.0.0.1",
        board.port,
        sha256_hex(f"{board.key}\n".encode()),
        offers or (chat("smol", board.slots),),
    )


def chat(model: str, slots: int = 2, **more: Any) -> ServedModel:
    """A chat model."""
    return ServedModel(model, f"{model}.gguf", "chat", slots, **more)


class RunningGateway:
    """haproxy and its keeper. `log`: what haproxy has written."""

    def __init__(self, folder: Path, boards: list[Board], table: BoardTable, **told: Any) -> None:
        self.port, keeper, metrics, challenge, certbot = free_ports(5)
        etc, lib, run, acme, lineage = (folder / name for name in ("etc", "lib", "run", "acme", "lineage"))
        self.places = GatewayPlaces(etc, lib, run, keeper, metrics, challenge, certbot, acme, lineage)
        self.settings = gateway_settings(folder, gateway_port=self.port, **told)
        self.log = folder / "log"
        for made in (self.places.config, self.places.runtime):
            made.mkdir()
        self.places.keys.write_text("".join(f"{board.name} {board.key}\n" for board in boards))
        self.processes: list[subprocess.Popen[bytes]] = []
        self.load(table)
        master, config = str(self.places.master_socket), str(self.places.config)
        self.begin("/usr/sbin/haproxy", "-W", "-S", master, "-C", config, "-f", "haproxy.cfg")
        self.keep()
        await_true(lambda: self.is_up([board.name for board in boards]))

    def load(self, table: BoardTable) -> None:
        """Writes haproxy's files. Checks come more often than they do, and a busy machine may fail some of them."""
        user = pwd.getpwuid(os.getuid()).pw_name
        for name, text in haproxy_files(self.settings, table, self.places, NAMES, user).items():
            (self.places.config / name).write_bytes(hurried(text))

    def keep(self) -> None:
        """Starts the keeper."""
        words = KEEP.format(str(self.places.config), str(self.places.runtime), self.places.keeper_port)
        self.begin(sys.executable, "-c", words)

    def begin(self, *words: str) -> None:
        with self.log.open("ab") as log:
            self.processes.append(subprocess.Popen(words, stdout=log, stderr=log, cwd=REPO))

    def state_of(self, name: str) -> str:
        """What haproxy says of a board; "" as long as it says nothing."""
        with suppress(OSError, KeyError):
            return board_counters(server_rows(self.places), name)["status"]
        return ""

    @property
    def queued(self) -> int:
        """How many requests wait for a slot."""
        return sum(int(row["qcur"] or 0) for row in server_rows(self.places))

    def is_up(self, names: list[str]) -> bool:
        """Whether haproxy gives requests to these boards."""
        return all(self.state_of(name).startswith("UP") for name in names)

    @property
    def url(self) -> str:
        return f"http{'' if self.settings.gateway_tls == 'off' else 's'}://127.0.0.1:{self.port}"

    def ask(self, path: str, body: Any = None, key: str = CLIENT_KEY, **options: Any) -> requests.Response:
        """GET, or POST of a body."""
        headers = {"Authorization": f"Bearer {key}"} | options.pop("headers", {})
        method = "GET" if body is None else "POST"
        options = {"timeout": SECONDS} | options
        return requests.request(method, self.url + path, json=body, headers=headers, **options)

    def answered_by(self, model: str, **options: Any) -> str:
        """The name of the board that answers."""
        said = self.ask("/v1/chat/completions", {"messages": [], "model": model, "max_tokens": 1}, **options).json()
        return str(said["choices"][0]["text"])

    def end(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            process.wait()


@contextmanager
def running(boards: list[Board], table: BoardTable | None = None, **told: Any) -> Iterator[RunningGateway]:
    """A gateway until the end of the block, for boards of one chat model unless a table says otherwise."""
    with TemporaryDirectory(prefix="gw-", dir="/tmp") as folder:
        gateway = RunningGateway(Path(folder), boards, table or BoardTable(tuple(map(entry, boards))), **told)
        try:
            yield gateway
        finally:
            gateway.end()
            for board in boards:
                board.stop()
            print(gateway.log.read_text())  # pytest shows it when the test fails


def await_true(what: Callable[[], Any], seconds: float = SECONDS) -> None:
    """Returns when it is so."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)
