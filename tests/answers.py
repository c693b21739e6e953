"""A web server or proxy on the loopback whose answers a test writes down: one function from a request to an answer."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import NamedTuple


class Request(NamedTuple):
    """What came. A proxy's paths are whole addresses."""

    method: str
    path: str
    host: str
    authorization: str
    body: bytes = b""


class Answer(NamedTuple):
    """What goes back; Content-Length comes with it."""

    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""


class Answering(ThreadingHTTPServer):
    """Listens on 127.0.0.1; remembers what it was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self.answer = answer
        self.asked: list[Request] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """Its address over HTTP."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that distrusts us hangs up: no traceback."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Answering

    def _go(self) -> None:
        headers = self.headers
        body = self.rfile.read(int(headers.get("Content-Length", 0)))
        request = Request(self.command, self.path, headers.get("Host", ""), headers.get("Authorization", ""), body)
        self.server.asked.append(request)
        status, more, body = self.server.answer(request)
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET = do_POST = do_CONNECT = _go

    def log_message(self, format: str, *args: object) -> None:
        """Tests read `asked` instead."""


@contextmanager
def answering(answer: Callable[[Request], Answer], tls: ssl.SSLContext | None = None) -> Iterator[Answering]:
    """The server, while the block runs."""
    server = Answering(answer)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
