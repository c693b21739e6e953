"""Models from a web server of the site, which the controller fills once."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from deploy.fleet.sharing.site import SiteCache, fill_cache
from deploy.hosts.carriage import pace_of
from deploy.hosts.store import BigFile, deliver_files
from tests.unit.local_target import OWNER, LocalTarget
from tests.unit.test_settings import refused, told
from tests.unit.test_sharing import CONTENT, board, by, file

__all__ = ["board", "file"]


class Store(BaseHTTPRequestHandler):
    """A web server that takes files, as nginx with dav_methods PUT does."""

    held: dict[str, bytes]
    puts: int
    refuses = False

    def log_message(self, format: str, *arguments: object) -> None:
        """Keeps no log."""

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self) -> None:
        self.answer(200, self.held[self.path]) if self.path in self.held else self.answer(404)

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        type(self).puts += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.refuses:
            self.held[self.path] = body
        self.answer(507 if self.refuses else 201)


@contextmanager
def web_server(held: dict[str, bytes]) -> Iterator[tuple[str, type[Store]]]:
    """A server on the loopback with these files, and its address."""
    kind = type("Holding", (Store,), {"held": held, "puts": 0})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fill_cache.forget()
        yield f"http://127.0.0.1:{server.server_port}/models", kind
        server.shutdown()


class TestSite:
    def test_one_copy_leaves_the_controller(self, board: LocalTarget, file: BigFile) -> None:
        with web_server({}) as (address, store):
            for name in ("one", "two"):
                own = BigFile(file.source, f"{file.dest}-{name}", file.sha256, file.size, owner=OWNER)
                deliver_files(board, [own], by(SiteCache(address, 0)))
                assert Path(own.dest).read_bytes() == CONTENT
            assert store.puts == 1

    def test_what_the_controller_gives_the_server_obeys_the_bandwidth(self, board: LocalTarget, file: BigFile) -> None:
        """With all else that leaves the controller."""
        with web_server({}) as (address, _):
            began = time.monotonic()
            fill_cache(f"{address}/{file.sha256}", file.source, file.size, 4 * file.size)
            assert time.monotonic() - began >= 0.25
            assert pace_of(4 * file.size).due > began, "that of the SSH connections"

    def test_a_server_that_lies_is_named(self, board: LocalTarget, file: BigFile) -> None:
        with web_server({f"/models/{file.sha256}": b"x" * len(CONTENT)}) as (address, _):
            deliver_files(board, [file], by(SiteCache(address, 0)))
            assert f"model.gguf: what {address} had brought was damaged; bringing all of it" in board.said
        assert Path(file.dest).read_bytes() == CONTENT

    def test_without_the_server_all_comes_over_ssh(self, board: LocalTarget, file: BigFile) -> None:
        fill_cache.forget()
        deliver_files(board, [file], by(SiteCache("http://127.0.0.1:9/models", 0)))
        assert Path(file.dest).read_bytes() == CONTENT
        assert board.said[0].startswith("model.gguf: not from http://127.0.0.1:9/models, but over SSH:")

    def test_a_server_that_takes_nothing_is_asked_once(self, board: LocalTarget, file: BigFile) -> None:
        with web_server({}) as (address, store):
            store.refuses = True
            for name in ("one", "two"):
                own = BigFile(file.source, f"{file.dest}-{name}", file.sha256, file.size, owner=OWNER)
                deliver_files(board, [own], by(SiteCache(address, 0)))
                assert Path(own.dest).read_bytes() == CONTENT, "over SSH"
            assert store.puts == 1


def test_what_is_no_web_server_is_asked_once_and_boards_get_the_model_over_ssh(
    board: LocalTarget, file: BigFile
) -> None:
    asked = []
    fill_cache.forget()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    asked.append(connection.recv(4096))
                    connection.sendall(b"220 mail.example ESMTP\r\n")
                    connection.close()

        threading.Thread(target=greet, daemon=True).start()
        way = SiteCache(f"http://127.0.0.1:{server.getsockname()[1]}/models", 0)
        for name in ("one", "two"):
            own = BigFile(file.source, f"{file.dest}-{name}", file.sha256, file.size, owner=OWNER)
            deliver_files(board, [own], by(way))
            assert Path(own.dest).read_bytes() == CONTENT
        server.shutdown(socket.SHUT_RDWR)
    assert len(asked) == 1
    assert "takes none from this controller (220 mail.example ESMTP" in board.said[0]


def test_a_site_needs_its_server() -> None:
    assert "distribution is 'site' and site_cache is ''" in refused(distribution="site")
    assert "site_cache is 'ftp://x': must be an http(s) address" in refused(site_cache="ftp://x")
    assert told(distribution="site", site_cache="http://cache.example/models").distribution == "site"
