"""Two servers on one board: two models, two ports, one release, which is judged as a whole."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.onboard.release import check, gate, switch
from deploy.onboard.release.releases import Release, current_release, services_of
from deploy.onboard.release.verdict import Outcome
from deploy.onboard.server.config import load_config
from deploy.onboard.server.launch import server_command, service_started
from deploy.onboard.service import OLLAMA, SERVICES, Service
from tests.services import second_service
from tests.unit.llama_server import Ports, ports
from tests.unit.onboard import Target, argument, consistent, target
from tests.unit.systemd import Systemd, systemd

__all__ = ["ports", "systemd", "target"]


@pytest.fixture
def second(target: Target) -> Service:
    """A server beside the target's own."""
    return second_service(target.service)


def both(target: Target, second: Service, name: str) -> Release:
    """A release that serves two, each with a model of its own."""
    release, content = target.add(name, services=(target.service, second)), b"GGUF two"
    store = target.store(second.model_store / "of-its-own", {"n.gguf": content})
    entry = release.manifest["services"][1]
    entry["model"] = {"name": "n.gguf", "sha256": hashlib.sha256(content).hexdigest()}
    (release.folder / "manifest.json").write_text(json.dumps(release.manifest))
    (release.folder / "second" / "n.gguf").symlink_to(store / "n.gguf")
    (release.folder / "second" / "m.gguf").unlink()
    (release.folder / "second" / "config.json").write_text("{}")
    return target.release(name)


def test_a_release_of_two_services_is_committed_with_the_names_of_both(target: Target, second: Service) -> None:
    release = both(target, second, "r1")
    assert release.services == (target.service, second)
    assert switch.perform_switch(release) is Outcome.COMMITTED
    assert consistent(target) == "r1"
    assert (second.models / "n.gguf").read_bytes() == b"GGUF two"
    assert second.enabled(target.places).readlink() == second.public_unit(target.places)
    assert second.config.readlink() == target.places.current / "second" / "config.json"


def test_each_is_told_of_its_own_model_port_and_key(target: Target, second: Service) -> None:
    release = both(target, second, "r1")
    switch.perform_switch(release)
    second.api_key.parent.mkdir(parents=True, exist_ok=True)
    second.api_key.write_text("sk-2")
    told = {service: server_command(load_config(service), release, service) for service in release.services}
    assert [argument(words, "--port") for words in told.values()] == ["11434", "11534"]
    assert [argument(words, "--alias") for words in told.values()] == ["m.gguf", "n.gguf"]
    assert argument(told[second], "--api-key-file") == str(second.api_key)
    assert "--api-key-file" not in told[target.service]


def test_systemd_says_which_of_them_a_start_is(
    target: Target, second: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = both(target, second, "r1")
    for service in release.services:
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(service.runtime))
        assert service_started(release) == service


def test_one_that_is_not_good_takes_the_whole_release_back(target: Target, second: Service) -> None:
    switch.perform_switch(both(target, second, "r1"))
    worse = both(target, second, "r2")
    (worse.folder / "second" / "config.json").write_text("fatal")
    target.fatal = "fatal"
    assert switch.perform_switch(worse) is Outcome.BACK
    assert consistent(target) == "r1"
    assert not second.trial_unit(target.places).exists() and not target.trial.exists()


def test_a_service_that_the_next_release_does_not_have_ends_with_its_names(
    target: Target, second: Service, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And comes back with the release that has it."""
    monkeypatch.setattr(switch, "run_systemctl", gate.run_systemctl)
    switch.perform_switch(both(target, second, "r1"))
    alone = target.add("r2")
    assert switch.perform_switch(alone) is Outcome.COMMITTED
    assert f"stop {second.unit}" in systemd.asked
    assert consistent(target) == "r2"
    for path in (second.config, second.public_unit(target.places), second.enabled(target.places)):
        assert not path.is_symlink(), path
    assert not (second.models / "n.gguf").is_symlink(), "its model is no public name any more"
    assert switch.perform_switch(target.release("r1")) is Outcome.COMMITTED
    assert consistent(target) == "r1"


def test_a_service_whose_config_moves_is_the_same_and_goes_on(
    target: Target, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "run_systemctl", gate.run_systemctl)
    switch.perform_switch(target.add("r1"))
    moved = replace(target.service, config=target.root / "etc" / "elsewhere" / "config.json", port=4711)
    assert switch.perform_switch(target.add("r2", services=(moved,))) is Outcome.COMMITTED
    assert not [line for line in systemd.asked if line.startswith("stop")]
    assert consistent(target) == "r2"
    assert moved.config.is_symlink() and not target.service.config.is_symlink()


def test_a_first_release_stops_nothing_that_ran_before_it(
    target: Target, second: Service, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "run_systemctl", gate.run_systemctl)
    assert switch.perform_switch(target.add("r1", services=(second,))) is Outcome.COMMITTED
    assert not [line for line in systemd.asked if line.startswith("stop")]


def test_a_unit_of_others_that_nobody_may_read_hides_no_release(target: Target) -> None:
    """As netplan leaves them in /run: `boardllama releases` is for every user."""
    release = target.add("r1")
    other = target.places.runtime_units / "netplan-ovs-cleanup.service"
    other.mkdir()
    (target.places.runtime_units / "dangling.service").symlink_to("nowhere")
    assert not release.is_tried
    target.trial.write_text(release.trial_text(target.service))
    assert release.is_tried


def test_a_service_that_a_bad_release_brought_is_stopped_again(
    target: Target, second: Service, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "run_systemctl", gate.run_systemctl)
    switch.perform_switch(target.add("r1"))
    target.bad = {"r2"}
    assert switch.perform_switch(both(target, second, "r2")) is Outcome.BACK
    assert systemd.asked[-1] == f"stop {second.unit}"
    assert consistent(target) == "r1"


def test_an_edit_of_the_one_is_undone_without_the_other(target: Target, second: Service) -> None:
    switch.perform_switch(both(target, second, "r1"))
    mine = json.dumps({"server": {"port": 4711}})
    target.service.config.unlink()
    target.service.config.write_text(mine)
    second.config.unlink()
    second.config.write_text("too much")
    target.bad, target.fatal = {"r2"}, "too much"
    good = (target.places.current / "second" / "config.json").read_text()
    assert switch.perform_switch(both(target, second, "r2")) is Outcome.BACK
    assert second.config.read_text() == good
    assert second.config.with_name("config.json.edited").read_text() == "too much"


def test_a_byte_that_differs_in_the_model_of_the_second_refuses_the_release(
    target: Target, second: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "check_release", check.check_release)
    release = both(target, second, "r1")
    (second.model_store / "of-its-own" / "n.gguf").write_bytes(b"GGUF twO")
    assert switch.perform_switch(release) is Outcome.REFUSED
    assert f"{release.folder}/second/n.gguf is not what was deployed" in target.places.verdict.read_text()


def test_the_gate_asks_each_server_and_tells_the_speed_of_the_slower(
    target: Target, second: Service, ports: Ports, systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = both(target, second, "r1")
    for service, folder in ((target.service, "."), (second, "second")):
        path = release.folder / folder / "config.json"
        path.write_text(json.dumps({"server": {"port": ports("well")}}))
        service.runtime.mkdir(parents=True, exist_ok=True)
        service.started.write_text("127.0.0.1 1 /health\nrelease r1\n")
        service.trial_unit(target.places).write_text(release.trial_text(service))
    said: list[str] = []
    rate = gate.judge_release(release, said.append)
    assert [line.partition(":")[0] for line in said] == [target.service.name, second.name]
    assert f"{rate:.1f}" in "".join(said)
    assert [f"restart {service.unit}" in systemd.asked for service in release.services] == [True, True]


def test_the_gate_names_the_server_that_does_not_pass(
    target: Target, second: Service, ports: Ports, systemd: Systemd
) -> None:
    release = both(target, second, "r1")
    for service, manner in ((target.service, "well"), (second, "empty")):
        config = release.folder_of(service) / "config.json"
        config.write_text(json.dumps({"server": {"port": ports(manner)}}))
        service.runtime.mkdir(parents=True, exist_ok=True)
        service.started.write_text("127.0.0.1 1 /health\nrelease r1\n")
        service.trial_unit(target.places).write_text(release.trial_text(service))
    with pytest.raises(gate.ServiceUnhealthy, match=f"{second.name}: a completion came back without text") as caught:
        gate.judge_release(release, print)
    assert caught.value.service == second


def test_the_manifest_of_an_older_release_is_of_one_service(tmp_path: Path) -> None:
    """It had no version, and said of this service at its top what it is made of."""
    (tmp_path / "manifest.json").write_text(json.dumps({"model": {"name": "m.gguf"}, "config": "ab", "unit": "cd"}))
    older = Release(tmp_path)
    assert older.services == (OLLAMA,) and older.model(OLLAMA) == "m.gguf"
    assert older.served[OLLAMA]["unit"] == "cd"
    assert older.model_files(OLLAMA) == [{"name": "m.gguf", "kind": "weights"}]
    assert OLLAMA.models / "m.gguf" in older.public_names()


def test_what_a_target_serves_is_known_where_no_manifest_says_it(target: Target) -> None:
    assert services_of(None) == SERVICES
    release = target.add("r1")
    (release.folder / "manifest.json").write_text("{")
    assert services_of(target.release("r1")) == SERVICES


def test_what_a_newer_program_adds_to_a_service_is_left_out(target: Target) -> None:
    release = target.add("r1")
    release.manifest["services"][0]["service"]["colour"] = "green"
    assert release.services == (target.service,)
    assert current_release(target.places) is None and replace(target.service) == target.service
