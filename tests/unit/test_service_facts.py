"""What the doctor knows of a service, on a target in a folder."""

import json
import time

import pytest

from deploy.onboard.doctor.facts import look_at_service
from deploy.onboard.doctor.looks import in_time
from deploy.onboard.release import switch
from deploy.onboard.release.releases import Release
from deploy.vm.ports import free_ports
from tests.unit.onboard import Target, target
from tests.unit.systemd import Systemd, systemd

__all__ = ["systemd", "target"]


@pytest.fixture
def served(target: Target) -> Release:
    """A release that is committed; nothing answers at its port."""
    release = target.add("r1", content=b"GGUF of nine")
    models = {"path": str(target.service.models)}
    (release.folder / "config.json").write_text(json.dumps({"server": {"port": free_ports(1)[0]}, "models": models}))
    switch.perform_switch(release)
    return release


def test_a_service_is_known_with_its_model_its_folder_and_its_last_words(
    target: Target, served: Release, systemd: Systemd
) -> None:
    found = look_at_service(target.service, served)
    assert (found.name, found.models) == (target.service.unit, str(target.service.models))
    assert (found.model, found.model_size) == ("m.gguf", 12)
    assert found.unit and found.unit["ActiveState"] == "active"
    assert found.health and found.health.state.name == "STARTING"
    assert (found.config_error, found.words, found.out_of_memory) == ("", ("its last line",), False)


def test_a_config_that_is_wrong_is_told_and_hides_only_what_it_says(
    target: Target, served: Release, systemd: Systemd
) -> None:
    target.service.config.write_text('{"server": {"prot": 1}}')
    found = look_at_service(target.service, served)
    assert "server.prot is unknown" in found.config_error
    assert (found.health, found.model, found.model_size) == (None, None, None)
    assert found.words == ("its last line",)


def test_without_a_release_there_is_no_model(target: Target, systemd: Systemd) -> None:
    assert look_at_service(target.service, None).model is None


def test_what_takes_its_time_is_waited_for() -> None:
    def look() -> int:
        time.sleep(0.1)
        return 3

    assert in_time(look, 60) == 3
