"""A Hugging Face hub on the loopback: what the real client needs for one file, and faults to switch on.

    with HubServer() as hub:
        model = hub.publish("owner/name", "x.gguf", b"GGUF...")
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.fault = Fault.CLOSE
        ...
        assert hub.count("GET") == 1

Unknown repositories, revisions and files, and a wrong token, are refused as the hub does, without a fault.
"""

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import unquote

from deploy.models.hub.hub_model import HubModel
from tests.hub_faults import Fault as Fault

REVISION = "0123456789abcdef0123456789abcdef01234567"
_BLOCK = 1 << 16
_STORAGE, _API = "/storage", "/api/models/"

_AFTER_A_CLOSE = {Fault.CLOSE_ONCE: Fault.NONE, Fault.CLOSE_THEN_ALL: Fault.IGNORE_RANGE}
PACE = {Fault.SLOW: (_BLOCK, 0.2), Fault.TRICKLE: (1, 1.0)}  # bytes, then a pause in seconds


@dataclass
class Request:
    """One request as it came; sent grows while its body goes out."""

    method: str
    path: str
    start: int  # first byte asked for by Range, 0 without
    authorization: str
    sent: int = 0  # bytes of the body


@dataclass
class HubServer:
    """Context manager: serves on 127.0.0.1 at a free port from enter to exit; exit also ends open connections."""

    fault: Fault = Fault.NONE
    after: int = 0  # bytes of a body before a fault that cuts it
    token: str = ""  # when set, requests without it get 401
    redirect: bool = False  # as the public hub: metadata here, the bytes at another origin that must not see the token
    requests: list[Request] = field(default_factory=list)
    branches: dict[str, str] = field(default_factory=dict)  # a branch, and the commit that it is at
    licences: dict[str, str] = field(default_factory=dict)  # by repository
    files: dict[tuple[str, str, str], bytes] = field(default_factory=dict)  # (repo, revision, path) to content

    def __enter__(self) -> "HubServer":
        self._closing = threading.Event()
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """For HF_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def publish(self, repo: str, file: str, content: bytes, revision: str = REVISION) -> HubModel:
        """Adds a file and returns its true pin."""
        self.files[repo, revision, file] = content
        return HubModel(repo, file, revision, hashlib.sha256(content).hexdigest(), len(content))

    def count(self, method: str) -> int:
        """How many requests of this method came."""
        return sum(request.method == method for request in self.requests)

    def sent(self) -> int:
        """Bytes of all bodies."""
        return sum(request.sent for request in self.requests)

    def wait(self, seconds: float) -> bool:
        """Sleeps, or returns True at once when the server closes."""
        return self._closing.wait(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # kept-alive connections would hold the exit up

    def __init__(self, hub: HubServer) -> None:
        self.hub = hub
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what the tests do on purpose: no traceback."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 30  # seconds a kept-alive connection may idle

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Tests read HubServer.requests instead."""

    def _answer(self) -> None:
        hub = self.server.hub
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        request = Request(self.command, self.path, start, self.headers.get("Authorization", ""))
        hub.requests.append(request)
        if hub.fault is Fault.SILENT:
            hub.wait(60)
        elif hub.fault is Fault.LOGIN_PAGE:
            self._page(request, 200)
        elif hub.fault is Fault.REDIRECT_LOOP:
            self._send_around(request)
        elif self.path.startswith(_STORAGE):
            self._file(request)
        elif self.path.startswith(_API):
            self._about(request)
        elif refusal := self._refusal(request):
            self._page(request, *refusal)
        elif hub.redirect:
            self._send_to_storage(request)
        else:
            self._file(request)

    def _key(self) -> tuple[str, str, str]:
        """(repo, revision, file) of /OWNER/NAME/resolve/REVISION/FILE, at the storage's origin below /storage."""
        repo, _, rest = unquote(self.path).removeprefix(_STORAGE).lstrip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        return repo, self.server.hub.branches.get(revision, revision), file

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        """Status and X-Error-Code, as the hub words them."""
        hub, (repo, revision, file) = self.server.hub, self._key()
        if hub.fault is Fault.BUSY:
            return 503, ""
        if hub.token and request.authorization != f"Bearer {hub.token}":
            return 401, ""
        if repo not in {known for known, _, _ in hub.files}:
            return 401, "RepoNotFound"
        if hub.fault is Fault.GATED:
            return 403, "GatedRepo"
        if (repo, revision) not in {(known, commit) for known, commit, _ in hub.files}:
            return 404, "RevisionNotFound"
        return None if (repo, revision, file) in hub.files else (404, "EntryNotFound")

    def _about(self, request: Request) -> None:
        """What a hub says of a repository at a commit: /api/models/OWNER/NAME/revision/COMMIT."""
        repo, _, revision = unquote(self.path).removeprefix(_API).partition("/revision/")
        licence = self.server.hub.licences.get(repo)
        about = {"id": repo, "sha": revision, "siblings": [], "cardData": {"license": licence} if licence else {}}
        self.send_response(200)
        self._send(request, json.dumps(about).encode(), "application/json")

    def _page(self, request: Request, status: int, code: str = "") -> None:
        body = b"<!DOCTYPE html><html><title>Sorry</title></html>"
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self._send(request, body, "text/html")

    def _send_to_storage(self, request: Request) -> None:
        hub, (_, revision, _) = self.server.hub, self._key()
        content = hub.files[self._key()]
        self.send_response(302)
        self.send_header("X-Repo-Commit", revision)
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("X-Linked-ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Location", f"http://localhost:{self.server.server_port}{_STORAGE}{self.path}")
        self._send(request, b"", "text/plain")

    def _send_around(self, request: Request) -> None:
        path, _, turns = self.path.partition("?turn=")
        self.send_response(302)
        self.send_header("Location", f"{path}?turn={int(turns or 0) + 1}")
        self._send(request, b"", "text/plain")

    def _file(self, request: Request) -> None:
        hub, (_, revision, _) = self.server.hub, self._key()
        content = hub.files[self._key()]
        if hub.fault is Fault.SHORT_FILE:
            content = content[: hub.after]
        etag = hashlib.sha256(b"other" if hub.fault is Fault.WRONG_ETAG else content).hexdigest()
        if request.method == "GET" and hub.fault is Fault.HTML:
            return self._page(request, 200)
        start = 0 if hub.fault is Fault.IGNORE_RANGE else request.start
        if start and start >= len(content):
            return self._page(request, 416)
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", revision)
        self.send_header("ETag", f'"{etag}"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        return self._send(request, self._body(request, content)[start:], "application/octet-stream")

    def _body(self, request: Request, content: bytes) -> bytes:
        fault, after = self.server.hub.fault, self.server.hub.after
        if request.method == "HEAD":
            return content
        if fault is Fault.WRONG_BYTES:
            return content[:-1] + bytes([content[-1] ^ 1])
        if fault is Fault.SHORT_BODY:
            return content[: max(after, request.start)]
        return content + bytes(1 << 26) if fault is Fault.LONG_BODY else content

    def _send(self, request: Request, body: bytes, kind: str) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if request.method == "HEAD":
            return
        end = self._cut(len(body))
        size, pause = PACE.get(self.server.hub.fault, (_BLOCK, 0.0))
        for at in range(0, end, size):
            block = body[at : min(at + size, end)]
            request.sent += len(block)
            self.wfile.write(block)
            if pause and self.server.hub.wait(pause):
                return
        if end < len(body):
            self._break_off()

    def _cut(self, length: int) -> int:
        hub = self.server.hub
        return min(hub.after, length) if hub.fault in (*_AFTER_A_CLOSE, Fault.CLOSE, Fault.STALL) else length

    def _break_off(self) -> None:
        hub = self.server.hub
        if hub.fault is Fault.STALL:
            hub.wait(60)
        hub.fault = _AFTER_A_CLOSE.get(hub.fault, hub.fault)
        self.wfile.flush()
        self.close_connection = True
