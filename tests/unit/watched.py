"""A server of its own process that is watched, and a crowd before it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.onboard import watch

SERVER = """
import http.server, os, subprocess, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(open(sys.argv[3]).read()))
        self.end_headers()
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
open(sys.argv[1], "w").write(f"127.0.0.1 {server.server_port} /health\\nrelease r1\\n")
subprocess.Popen([sys.executable, "-IS", sys.argv[2], "watch", str(os.getpid())])
server.serve_forever()
"""


# As llama-server does it: a thread for each connection, which waits for the end of the request; and when it may open no
# more files it tries again at once, for ever.
CROWDED = """
import os, resource, socket, subprocess, sys, threading, time
resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))
listener = socket.create_server(("127.0.0.1", 0), backlog=128)
open(sys.argv[1], "w").write(f"127.0.0.1 {listener.getsockname()[1]} /health\\nrelease r1\\n")
subprocess.Popen([sys.executable, "-IS", sys.argv[2], "watch", str(os.getpid())])
def serve(client):
    with client:
        request = b""
        while not request.endswith(b"\\r\\n\\r\\n") and (more := client.recv(4096)):
            request += more
        client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n")
while True:
    try:
        client, _ = listener.accept()
    except OSError:
        time.sleep(0.0001)
        continue
    threading.Thread(target=serve, args=[client], daemon=True).start()
"""


# Long enough that a server which a busy machine keeps from its processor is not taken for one that hangs.
HANG_SECONDS = 2.0


class Service:
    """A server that answers what `status` says, with its watcher, in a hurry."""

    def __init__(self, folder: Path, server: str = SERVER) -> None:
        self.folder, self.started, self.status, program = (
            folder,
            folder / "started",
            folder / "status",
            folder / "watch.py",
        )
        self.status.write_text("200")
        text = Path(watch.__file__).read_text()
        program.write_text(
            text.replace("_SECONDS = 10.0", "_SECONDS = 0.7")
            .replace("RETRY_SECONDS = 1.0", "RETRY_SECONDS = 0.3")
            .replace("HANG_SECONDS = 30.0", f"HANG_SECONDS = {HANG_SECONDS}")
            .replace("CROWD = 40", "CROWD = 30")
        )
        self.program = str(program)
        command = [sys.executable, "-c", server, str(self.started), self.program, str(self.status)]
        self.environment = os.environ | {"RUNTIME_DIRECTORY": str(folder)}
        self.process = subprocess.Popen(command, env=self.environment)

    def ready(self) -> subprocess.CompletedProcess[bytes]:
        """As ExecStartPost runs it."""
        environment = self.environment | {"MAINPID": str(self.process.pid)}
        return subprocess.run([sys.executable, "-IS", self.program, "ready"], env=environment, timeout=30, check=False)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self.started.read_text().split()[:2]
        return host, int(port)

    def end(self) -> None:
        """Whatever its state."""
        self.process.kill()
        self.process.wait()


@contextmanager
def crowd(address: tuple[str, int], size: int) -> Iterator[list[socket.socket]]:
    """So many clients, each with half a request."""
    held = []
    for _ in range(size):
        one = socket.socket()
        one.setblocking(False)
        with suppress(BlockingIOError):
            one.connect(address)
        held.append(one)
    time.sleep(1)
    for one in held:
        with suppress(OSError):
            one.sendall(b"GET /health HTTP/1.1\r\nX-Wait: ")
    yield held
    for one in held:
        one.close()
