"""A stand-in of a board's server, before a real gateway: it says who it is, and counts who asked and who left."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from deploy.vm.ports import free_ports


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
