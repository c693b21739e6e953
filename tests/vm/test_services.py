"""Two servers on a real board: two models, two ports, one release, a gate for each. No setting offers it yet."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.build.artifact import Build, require_artifact
from deploy.cpu import find_cpu
from deploy.hosts.release import Served, WantedRelease, release_time
from deploy.hosts.release_manifest import Policy
from deploy.models import smoke
from deploy.onboard.places import PLACES
from deploy.onboard.server.health import Health, State
from deploy.onboard.service import OLLAMA, Service
from deploy.stages.model import model_of
from deploy.stages.service import wanted_files
from deploy.vm.machine import Machine
from tests.board import test_board as suite
from tests.board.board import Board
from tests.services import second_service
from tests.unit.test_settings import told
from tests.vm.machine import VirtualBoard
from tests.vm.test_deploy import vm
from tests.vm.test_doctor import lights
from tests.vm.test_releases import current

__all__ = ["vm"]

SECOND = second_service(OLLAMA)


def send(content: bytes, command: str) -> None:
    """Feeds a command on the VM, as root."""
    machine = Machine.load()
    line = ["ssh", "-F", str(machine.ssh_config), machine.name, command]
    subprocess.run(line, input=content, check=True, capture_output=True, timeout=120)


def served(service: Service, model: Path, **settings: object) -> Served:
    """A service with that model."""
    wanted = told(model="path", model_path=str(model), **settings)
    file = model_of(wanted, service)
    return Served(service, file, wanted_files(wanted, service, file), {})


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    """Two of other names and other bytes: GGUF allows what follows its tensors."""
    first, second = tmp_path / "first.gguf", tmp_path / "second.gguf"
    first.write_bytes(smoke.smoke_model().read_bytes())
    second.write_bytes(smoke.smoke_model().read_bytes() + b"\0" * 4096)
    return first, second


def bring(release: WantedRelease) -> str:
    """Puts a release onto the VM, as the stages of a deploy do. Returns its program."""
    for model in (file for served in release.served if served.model for file in served.model.files):
        send(model.source.read_bytes(), f"mkdir -p $(dirname {model.dest}); cat > {model.dest}")
    folders = " ".join(str(served.service.config.parent) for served in release.served)
    archive = release.tar_archive(release_time().isoformat(timespec="seconds"))
    send(archive, f"mkdir -p {folders} {release.folder}; tar -x -C {release.folder}")
    return release.program


@pytest.fixture
def release(vm: VirtualBoard, models: tuple[Path, Path]) -> WantedRelease:
    """Both, each at its port, with the binaries that the VM has."""
    build = Build(told().source, find_cpu("cortex-a76"))
    services = (served(OLLAMA, models[0]), served(SECOND, models[1], server_port=SECOND.port))
    policy = Policy(min_tokens_per_second=0, releases_kept=2)
    return WantedRelease(build, require_artifact(build), services, {}, policy)


@pytest.fixture
def both(vm: VirtualBoard, release: WantedRelease) -> Iterator[tuple[Board, Board]]:
    """The two services after a switch to that release. The plain deploy ends the second one."""
    vm.run(f"{bring(release)} perform {release.id}")
    host = vm.board.host
    yield Board(host), Board(host, SECOND)
    assert vm.deploy("--data", "config_conflict=overwrite").returncode == 0
    assert not vm.board.host.service(SECOND.unit).is_running
    assert not vm.board.host.socket(f"tcp://127.0.0.1:{SECOND.port}").is_listening
    assert not vm.board.host.file(str(SECOND.config)).exists


def test_two_servers_are_one_release(
    vm: VirtualBoard, both: tuple[Board, Board], release: WantedRelease, models: tuple[Path, Path]
) -> None:
    assert current(vm) == release.id
    for board, model in zip(both, models, strict=True):
        suite.test_the_service_is_active_and_enabled(board)
        suite.test_the_running_process_is_the_installed_binary(board)
        suite.test_it_listens_where_it_is_told_and_nowhere_else(board)
        suite.test_the_sandbox_is_tight(board)
        suite.test_it_completes_a_text(board)
        assert board.ask("/v1/models").json["data"][0]["id"] == model.name
    shown = lights(vm)
    assert {shown[f"service of {board.service.unit}"] for board in both} == {"GOOD"}

    # The one that is killed comes back by itself, and the other one does not notice.
    first, second = both
    before = first.process, second.process
    vm.run(f"kill -KILL {second.process}; sleep 3")
    second.await_health()
    assert first.process == before[0] and second.process != before[1]
    said = vm.run(f"journalctl -b -u {SECOND.unit} -o cat --no-pager")
    assert "someone killed the server (SIGKILL)" in said

    # An edit of its own config counts at its next start.
    vm.run(f'sed -i \'s/"top_k": null/"top_k": 7/\' {SECOND.config}')
    second.restart()
    assert second.arguments[second.arguments.index("--top-k") + 1] == "7"
    assert first.process == before[0]

    # A release whose second server cannot listen is taken back as a whole.
    taken = served(SECOND, models[1], server_port=OLLAMA.port)
    worse = replace(release, served=(release.served[0], taken))
    ended = vm.board.host.run(f"{bring(worse)} perform {worse.id}")
    assert ended.rc == 1, ended.stdout
    assert current(vm) == release.id
    verdict = json.loads(vm.run(f"cat {PLACES.verdict}"))
    assert f"second: cannot listen on server.host 127.0.0.1, server.port {OLLAMA.port}" in verdict["reason"]
    assert f"{release.id} serves again" in verdict["reason"]
    assert [board.health for board in both] == [Health(State.READY)] * 2
