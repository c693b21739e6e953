"""Debian's nginx, with a configuration of a test."""

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.vm.ports import free_ports
from tests.engines import engine

CONFIG = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; {user}
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log combined;
    client_body_temp_path {folder}/t; proxy_temp_path {folder}/t; fastcgi_temp_path {folder}/t;
    uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t;
    server {{ listen 127.0.0.1:{port}; root {root}; {locations} }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """One that runs. `worker`: the process id of its worker."""

    port: int
    worker: int
    folder: Path

    def asked(self) -> list[str]:
        """The requests and their statuses, as "PUT /models/… 201"."""
        found = re.findall(r'"(\S+ \S+) HTTP/1.1" (\d+)', (self.folder / "access.log").read_text())
        return [f"{request} {status}" for request, status in found]


@contextmanager
def running_nginx(root: Path, locations: str = "") -> Iterator[Nginx]:
    """nginx that serves the folder, on the loopback."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder, (port,) = Path(name), free_ports(1)
        folder.chmod(0o755)
        told = {"folder": folder, "port": port, "root": root, "locations": locations}
        (folder / "nginx.conf").write_text(CONFIG.format(user=user_line(root), **told))
        words = [engine("nginx"), "-c", str(folder / "nginx.conf"), "-p", name]
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as master:
            try:
                yield Nginx(port, worker_of(master), folder)
            finally:
                master.terminate()


def user_line(root: Path) -> str:
    """Its workers are whoever owns the folder, which may be in a folder of a test that nobody else enters."""
    return f"user {root.owner()};" if root.owner() == "root" else ""


def worker_of(master: subprocess.Popen[bytes]) -> int:
    """The process id of the worker, once it is there."""
    children = Path(f"/proc/{master.pid}/task/{master.pid}/children")
    while not (found := children.read_text().split()):
        assert master.poll() is None, "nginx ended"
        time.sleep(0.05)
    time.sleep(0.2)
    return int(found[0])
