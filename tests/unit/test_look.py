"""One look at a server: what systemd says of its unit, and what really answers at its port."""

from pathlib import Path

import pytest

from deploy.onboard.server.config import first_key
from deploy.onboard.server.health import State, ask_server, last_words, look_at_unit, unit_facts
from deploy.vm.ports import free_ports
from tests.unit.llama_server import Ports, ports, running
from tests.unit.onboard import Target, target
from tests.unit.systemd import Systemd, systemd

__all__ = ["ports", "systemd", "target"]

ACTIVE, STARTING = {"ActiveState": "active"}, {"ActiveState": "activating", "SubState": "start"}
FAILED = {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainStatus": "78"}
AGAIN = {"ActiveState": "activating", "SubState": "auto-restart", "Result": "signal", "ExecMainStatus": "9"}


@pytest.mark.parametrize(
    ("facts", "manner", "state"),
    [
        (ACTIVE, "well", State.READY),
        (ACTIVE, "loading", State.LOADING),
        (ACTIVE, "", State.STARTING),
        (STARTING, "loading", State.LOADING),
        (STARTING, "", State.STARTING),
        (STARTING, "well", State.STARTING),
        (FAILED, "well", State.EXITED),
        (AGAIN, "well", State.EXITED),
    ],
)
def test_a_server_is_what_its_unit_and_its_answer_make_it(
    target: Target, ports: Ports, systemd: Systemd, facts: dict[str, str], manner: str, state: State
) -> None:
    """What answers while the unit is down is someone else's."""
    port = ports(manner) if manner else free_ports(1)[0]
    assert look_at_unit(target.service, facts, f"http://127.0.0.1:{port}").state is state


def test_a_server_that_ended_is_told_with_its_status_and_its_last_words(target: Target, systemd: Systemd) -> None:
    assert look_at_unit(target.service, FAILED, "http://127.0.0.1:9").detail == (
        f"{target.service.unit} is failed (failed), exit-code, status 78; its last lines: its last line"
    )


def test_a_server_that_asks_for_a_key_is_given_the_boards_own(target: Target, tmp_path: Path) -> None:
    target.service.api_key.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "servers").write_text("sk-1\n")
    with running(tmp_path, "well", "--api-key-file", str(tmp_path / "servers")) as port:
        for key, status in (("sk-1", 200), ("# none", 401), ("sk-2", 401)):
            target.service.api_key.write_text(f"{key}\n")
            own = first_key(target.service.api_key)
            assert ask_server(f"http://127.0.0.1:{port}", "/props", key=own)[0] == status


def test_systemd_is_asked_about_the_unit_of_the_service_alone(target: Target, systemd: Systemd) -> None:
    assert unit_facts(target.service)["ActiveState"] == "active"
    assert systemd.asked[-1].split()[-1] == target.service.unit
    assert last_words(target.service, 4) == ["its last line"]
