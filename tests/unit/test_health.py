"""The health gate: every state has its reason, and only a server with a model is healthy."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from deploy.onboard.server.health import (
    Health,
    State,
    Unhealthy,
    ask_server,
    excuse_crowd,
    judge_answer,
    look_at_unit,
    wait_for_ready,
)
from deploy.onboard.service import OLLAMA
from deploy.onboard.watch import CROWD
from tests.services import paths_below

OK = {"status": "ok"}


def judged(status: int = 200, body: Any = OK, props: Any = None) -> Health:
    """The judgement on what a server answers."""
    return judge_answer(status, body, lambda: (200, {"model_path": "/m/x.gguf"} if props is None else props))


def test_a_server_with_a_model_is_ready() -> None:
    assert judged() == Health(State.READY)


def test_a_router_without_a_model_is_not_believed() -> None:
    """llama-server without a model answers /health with 200."""
    for props in ({"role": "router", "model_path": "x"}, {"role": "router"}, {"model_path": ""}):
        assert judged(props=props).state is State.WRONG


def test_503_is_loading_and_silence_is_starting() -> None:
    assert judged(503, {"error": {"message": "Loading model"}}).state is State.LOADING
    assert judged(0, "ConnectionRefusedError").state is State.STARTING


def test_a_web_server_that_is_not_ours_is_wrong() -> None:
    assert judged(200, "<html>hello</html>").state is State.WRONG
    assert judged(404, "not found").state is State.WRONG


def test_a_look_travels_as_one_line() -> None:
    seen = Health(State.EXITED, "its last words:\n1")
    assert "\n" not in seen.to_json()
    assert Health.from_json(seen.to_json()) == seen


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def waited(looks: Iterator[Health], deadline: float = 60) -> list[str]:
    """Waits without waiting; the lines of progress."""
    clock, said = Clock(), list[str]()
    wait_for_ready(lambda: next(looks), deadline, said.append, clock, clock.sleep)
    return said


def forever(health: Health) -> Iterator[Health]:
    """The same look again and again."""
    while True:
        yield health


def test_it_waits_for_a_model_that_loads_and_says_so() -> None:
    said = waited(iter([Health(State.LOADING)] * 30 + [Health(State.READY)]))
    assert said == ["loading the model, 5 s so far", "loading the model, 10 s so far"]


def test_it_gives_up_at_the_deadline_with_the_reason() -> None:
    with pytest.raises(Unhealthy, match="still loading the model after 60 s"):
        waited(forever(Health(State.LOADING)))


def test_it_does_not_wait_for_a_process_that_is_gone() -> None:
    with pytest.raises(Unhealthy, match="not running: status 1"):
        waited(iter([Health(State.EXITED, "status 1")]))


def test_an_answer_that_trickles_for_ever_is_none() -> None:
    """Each of its bytes comes in time."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                for _ in range(600):
                    connection.sendall(b"x")
                    time.sleep(0.05)

        threading.Thread(target=trickle, daemon=True).start()
        began = time.monotonic()
        status, said = ask_server(f"http://127.0.0.1:{server.getsockname()[1]}", "/", deadline=0.3)
    assert (status, said) == (0, "TimeoutError: the answer does not end")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "state", [{"ActiveState": "active"}, {"ActiveState": "activating", "SubState": "auto-restart"}]
)
def test_a_service_that_waits_for_a_disk_says_for_which(tmp_path: Path, state: dict[str, str]) -> None:
    service = paths_below(tmp_path, OLLAMA)
    service.runtime.mkdir(parents=True)
    service.awaited.write_text("waiting for the disk of /m: nothing is mounted on /m")
    found = look_at_unit(service, state, "http://127.0.0.1:9")
    assert found == Health(State.WAITING, "waiting for the disk of /m: nothing is mounted on /m")
    with pytest.raises(Unhealthy, match="nothing is mounted on /m"):
        wait_for_ready(lambda: found, 60, print)


def test_a_server_behind_a_crowd_is_not_sick() -> None:
    """A real crowd at a real port where nobody answers. With a server that answers it does not matter."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        port = listener.getsockname()[1]
        silent = Health(State.STARTING, "nothing answers")
        assert excuse_crowd(silent, port) == silent
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(CROWD)]
        found = excuse_crowd(silent, port)
        assert found.state is State.CROWDED and f"{CROWD} of them from 127.0.0.1" in found.detail
        assert excuse_crowd(Health(State.READY), port) == Health(State.READY)
        assert excuse_crowd(Health(State.WRONG, "418"), port) == Health(State.WRONG, "418")
        for one in clients:
            one.close()


def test_silence_of_props_is_no_verdict_on_the_model() -> None:
    assert judge_answer(200, OK, lambda: (0, "TimeoutError")).state is State.STARTING
