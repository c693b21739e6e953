"""The comparison of two builds' requests: what is counted, and how a row says it."""

import os
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from tests.bench.latency import REQUESTS, added_seconds, compared_costs, main, send_requests, spent_seconds


def test_a_row_has_medians_spread_and_the_ratio_to_the_first_build() -> None:
    rounds = [[{"x": old}, {"x": new}] for old, new in ((0.2, 0.3), (0.1, 0.5), (0.4, 0.1))]
    assert compared_costs("x", rounds) == "| x | 200 (100 to 400), 1.00x | 300 (100 to 500), 1.50x |"


def test_what_is_counted_is_the_second_time() -> None:
    """The first time, QEMU translates."""
    work = iter((range(3_000_000), range(10)))

    def ask() -> None:
        sum(next(work))

    assert added_seconds(os.getpid(), ask) < 0.01


def test_processor_time_is_exact_and_that_of_all_threads() -> None:
    worker = threading.Thread(target=lambda: sum(range(1_000_000)))
    worker.start()
    worker.join()
    assert spent_seconds(os.getpid()) == pytest.approx(time.process_time(), abs=0.005)


@pytest.mark.parametrize("kind", REQUESTS)
def test_each_kind_is_sent_as_often_as_it_says(kind: str) -> None:
    seen: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        send_requests(f"http://127.0.0.1:{server.server_port}", kind)
        server.shutdown()
    times, path, _ = REQUESTS[kind]
    assert seen == [path] * times


def test_a_folder_without_a_server_is_named(tmp_path: Path) -> None:
    with pytest.raises(BoardllamaError, match=f"{tmp_path}: name folders that hold llama-server"):
        main([str(tmp_path)])
