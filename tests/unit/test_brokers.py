"""Services without a model beside a llama-server: how they are started, and when they count as healthy."""

import json
import sys
from pathlib import Path

import pytest

from deploy.onboard.front.routes import Route, choose_route
from deploy.onboard.release.releases import Release
from deploy.onboard.server.config import load_config
from deploy.onboard.server.health import Health, State, ask_health
from deploy.onboard.server.launch import ready_services, start_command, waiting_services
from deploy.onboard.server.start_record import is_fresh, start_record
from deploy.onboard.service import FRONT, OLLAMA_API, Service, broker_service
from tests.services import paths_below
from tests.unit.front_process import running
from tests.unit.onboard import Target, target

__all__ = ["target"]


@pytest.fixture
def front(target: Target) -> Service:
    return paths_below(target.root, broker_service(FRONT, 11434))


@pytest.fixture
def api(target: Target) -> Service:
    return paths_below(target.root, broker_service(OLLAMA_API, 11445))


@pytest.fixture
def release(target: Target, front: Service, api: Service) -> Release:
    """A server at a port of its own, who speaks Ollama's API for it, and the front of both."""
    made = target.add("r1", services=(target.service, api, front))
    for entry in made.manifest["services"][1:]:
        entry["model"] = None
    (made.folder / "manifest.json").write_text(json.dumps(made.manifest))
    models = {"default_model": "m.gguf", "alias": "smol"}
    (made.folder / "config.json").write_text(json.dumps({"server": {"port": 11444}, "models": models}))
    for one in (api, front):
        (made.folder_of(one) / one.config.name).write_text(json.dumps({"server": {"port": one.port}}))
    return target.release("r1")


def told(release: Release, service: Service) -> list[Route]:
    """The routes that a broker is started with."""
    program, arguments = start_command(load_config(service, release.config(service)), release, service)
    assert str(program) == arguments[0] == sys.executable
    return [Route(**one) for one in json.loads(arguments[-1])["routes"]]


def test_the_front_is_told_of_every_server_as_its_config_has_it(
    release: Release, target: Target, front: Service, api: Service
) -> None:
    server, ollama = told(release, front)
    assert server == Route("smol", "m.gguf", "chat", 11444, 4, started=str(target.service.started))
    assert (ollama.port, ollama.prefix) == (11445, "/api/")
    assert choose_route([server, ollama], "/api/tags", b"") == ollama
    assert told(release, api) == [server], "it asks the servers themselves"


def test_what_has_no_model_waits_only_as_long_as_every_server(
    release: Release, target: Target, front: Service, api: Service
) -> None:
    assert ready_services(release) == [target.service, api, front]
    for entry in release.manifest["services"]:
        entry["model"] = None
    del release.__dict__["served"]
    assert waiting_services(release) == [target.service, api, front]


def test_a_front_is_stale_when_the_config_of_a_server_was_edited(release: Release, front: Service) -> None:
    front.started.parent.mkdir(parents=True)
    for service in release.services:
        service.config.parent.mkdir(parents=True, exist_ok=True)
        service.config.write_bytes((release.folder_of(service) / service.config.name).read_bytes())
    release.places.current.symlink_to(release.folder)
    front.public_unit(release.places).write_text("unit")
    front.started.write_text(f"127.0.0.1 11434 /v1/models\n{start_record(release, front, [])}")
    assert is_fresh(front)
    release.services[0].config.write_text(json.dumps({"server": {"port": 4711}}))
    assert not is_fresh(front)


def test_a_front_is_healthy_whatever_its_servers_do(front: Service, tmp_path: Path) -> None:
    with running() as process:
        assert ask_health(front, process.url) == Health(State.READY)
        process.chat.end()
        assert ask_health(front, process.url) == Health(State.READY)
        process.process.kill()
        process.process.wait()
        assert ask_health(front, process.url).state is State.STARTING
