"""What is slow is waited for as long as it shows life, and what shows none is given up."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from deploy.controller.patience import Patience
from deploy.errors import BoardllamaError
from deploy.vm import life_signs
from deploy.vm.answer import first_answer
from tests.unit.prepared_machine import prepare_machine


def test_the_seconds_count_from_the_last_sign_of_life() -> None:
    now = [0.0]
    patience = Patience(60, lambda: now[0])
    ends = []
    for now[0], sign in [(0, 1), (59, 1), (61, 2), (119, 2), (122, 2)]:
        ends.append(patience.is_over(sign))
    assert ends == [False, False, False, False, True]


def test_a_guest_lives_by_its_console_and_by_its_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = prepare_machine(tmp_path, monkeypatch)
    dead = life_signs.sign_of_life(machine)
    assert life_signs.sign_of_life(machine) == dead
    machine.console.write_text("Booting Linux\n")
    assert life_signs.sign_of_life(machine) != dead


def test_the_work_of_a_process_is_counted_and_its_sleep_is_not() -> None:
    began = life_signs.processor_seconds(os.getpid())
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    assert life_signs.processor_seconds(os.getpid()) >= began + 0.05
    assert life_signs.processor_seconds(None) == 0


@contextmanager
def answering(*events: str) -> Iterator[str]:
    """A server that answers each question with this stream."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write("".join(f"data: {event}\n\n" for event in events).encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_the_first_answer_comes_token_by_token() -> None:
    last = '{"choices": [{"text": ""}], "timings": {"predicted_per_second": 7.5}}'
    with answering('{"choices": [{"text": " jumps"}]}', '{"choices": [{"text": " over"}]}', last, "[DONE]") as url:
        assert first_answer(url) == (" jumps over", 7.5)


@pytest.mark.parametrize("events", [(), ("[DONE]",), ('{"error": {"code": 500}}',), ('{"choices": [{"text": "x"}]}',)])
def test_an_answer_that_is_none_is_one_line(events: tuple[str, ...]) -> None:
    with answering(*events) as url, pytest.raises(BoardllamaError, match=r"gave no answer: .*`make log` shows the VM"):
        first_answer(url)
