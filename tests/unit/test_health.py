"""The health gate: every state has its reason, and only a server with a model is healthy."""

import json
from collections.abc import Iterator

import pytest

from deploy.health import Health, State, Unhealthy, parse, probe_command, wait

ACTIVE = "ActiveState=active\nSubState=running\nResult=success\nExecMainStatus=0\n"


def printed(unit: str = ACTIVE, health: str = '{"status":"ok"}\n200', props: object = None, journal: str = "") -> str:
    """What the probe prints on a target."""
    body = json.dumps({"model_path": "/m/x.gguf"} if props is None else props)
    return f"{unit}==health\n{health}\n==props\n{body}\n200\n==journal\n{journal}"


def test_a_server_with_a_model_is_ready() -> None:
    assert parse(printed()) == Health(State.READY)
    assert parse(printed().strip()) == Health(State.READY), "connections drop the last newline"


def test_a_router_without_a_model_is_not_believed() -> None:
    """llama-server without a model answers /health with 200."""
    for props in ({"role": "router", "model_path": "x"}, {"role": "router"}, {"model_path": ""}):
        assert parse(printed(props=props)).state is State.WRONG


def test_503_is_loading_and_silence_is_starting() -> None:
    assert parse(printed(health='{"error":{"message":"Loading model"}}\n503')).state is State.LOADING
    assert parse(printed(health="\n000")).state is State.STARTING


def test_a_web_server_that_is_not_ours_is_wrong() -> None:
    assert parse(printed(health="<html>hello</html>\n200")).state is State.WRONG
    assert parse(printed(health="not found\n404")).state is State.WRONG


def test_a_dead_process_is_reported_with_its_last_words() -> None:
    unit = "ActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=78\n"
    health = parse(printed(unit, "\n000", journal="config.json: line 3, column 27\n"))
    assert health.state is State.EXITED
    assert "failed (failed), exit-code, status 78" in health.detail
    assert "config.json: line 3, column 27" in health.detail


def test_nothing_at_all_is_not_healthy() -> None:
    assert parse("").state is State.EXITED


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
    wait(lambda: next(looks), deadline, said.append, clock, clock.sleep)
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


def test_the_key_is_in_no_argument_list() -> None:
    command = probe_command("http://127.0.0.1:11434")
    assert "Authorization: Bearer &" in command
    assert "--config -" in command
