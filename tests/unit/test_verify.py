"""Verify: a run ends when the server is healthy, and not before; what it asks is a real program."""

from pathlib import Path

import pytest

from deploy.onboard.server import health
from deploy.onboard.server.health import Health, State
from deploy.stages import verify
from tests.unit.known_host import KnownHost, program, serving

MODELS = "/var/lib/ollama/models"
LOADING, READY = Health(State.LOADING, "/health answers 503"), Health(State.READY)


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `boardllama health` says on the target: a line of this file each time, until none is left."""
    said = tmp_path / "answers"
    asked = program(tmp_path / "boardllama", f"head -n 1 {said}; sed -i 1d {said}")
    monkeypatch.setattr(verify, "HEALTH", str(asked))
    monkeypatch.setattr(health, "POLL_SECONDS", 0.0)
    return said


def board(seen: Health | None = LOADING, waiting: bool = False) -> KnownHost:
    """A board that was found like this."""
    return KnownHost(serving("r1", health=seen, waiting=waiting))


def test_a_server_that_loads_is_waited_for(answers: Path) -> None:
    answers.write_text("".join(f"{one.to_json()}\n" for one in (LOADING, LOADING, READY, LOADING)))
    assert board().does(verify.await_health, models=MODELS)
    assert answers.read_text() == f"{LOADING.to_json()}\n", "it is asked until it is ready, and no more"


def test_a_server_that_ended_fails_its_board_with_the_reason(answers: Path) -> None:
    ended = Health(State.EXITED, "it is failed (failed), exit-code, status 78")
    answers.write_text(f"{LOADING.to_json()}\n{ended.to_json()}\n")
    host = board()
    assert not host.does(verify.await_health, models=MODELS)
    assert host.record.reason == f"the server is not running: {ended.detail}"


@pytest.mark.parametrize("seen", [None, LOADING, Health(State.STARTING), Health(State.CROWDED), Health(State.EXITED)])
def test_whatever_is_not_ready_or_not_known_is_asked(seen: Health | None) -> None:
    """An older release does not say how its server is."""
    assert board(seen).plans(verify.await_health, models=MODELS)


def test_a_server_that_is_ready_is_not_asked_again() -> None:
    assert board(READY).plans(verify.await_health, models=MODELS) == []


def test_a_board_whose_model_the_operator_brings_is_left_alone() -> None:
    assert board(Health(State.EXITED), waiting=True).plans(verify.await_health, models=MODELS) == []
