"""What goes wrong on and around a board: each time one clear line, and the server that was there goes on serving."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.models import smoke
from deploy.onboard.server.health import Health, State
from deploy.onboard.service import OLLAMA
from tests.faults.cache_copy import copy_cache
from tests.hub_server import Fault, HubServer
from tests.vm.machine import Deploy, VirtualBoard
from tests.vm.test_deploy import vm

CONFIG, UNIT = OLLAMA.config, OLLAMA.unit

__all__ = ["vm"]

MEGABYTE = 1_000_000


def until(condition: str) -> str:
    """A shell command that waits for another one to succeed: however busy the machine is, never for a time."""
    return f"timeout 300 sh -c 'until {condition}; do sleep 0.2; done'"


FAILED = until(f"systemctl is-failed --quiet {UNIT}")


def serves(vm: VirtualBoard) -> bool:
    """True when a completion comes back."""
    return vm.board.ask("/v1/completions", {"prompt": "The", "max_tokens": 2}).status == 200


def refused(done: Deploy, *words: str) -> None:
    """The run failed, and one of its lines holds all the words."""
    assert done.returncode == 1, done.said
    assert any(all(word in line for word in words) for line in done.said.splitlines()), done.said
    assert "Traceback" not in done.said


@pytest.fixture
def big_model(tmp_path: Path) -> Path:
    """The smoke model, made 60 MB long: a transfer that can be cut. GGUF allows what follows its tensors."""
    path = tmp_path / "it's a $(big) model; really.gguf"
    path.write_bytes(smoke.smoke_model().read_bytes())
    with path.open("r+b") as file:
        file.truncate(60 * MEGABYTE - 16)
        file.seek(0, 2)
        file.write(os.urandom(16))  # a target that had the content of another test would bring nothing
    return path


def test_a_build_that_the_board_cannot_run_is_refused_before_anything_is_copied(vm: VirtualBoard) -> None:
    before = vm.run("ls /usr/lib/boardllama/builds")
    refused(vm.deploy("--data", "cpu=armv8.6-i8mm"), "armv8.6-i8mm needs i8mm", "Cortex-A76", "use cortex-a76")
    assert vm.run("ls /usr/lib/boardllama/builds") == before
    assert serves(vm)


def test_broken_json_fails_the_unit_with_line_and_column_and_it_does_not_flap(vm: VirtualBoard) -> None:
    vm.run(f'sed -i \'s|"default_threads": 0|"default_threads": 4 // more|\' {CONFIG}')
    vm.run(f"systemctl restart {UNIT}; {FAILED}")
    unit = vm.run(f"systemctl show -p ActiveState,NRestarts,ExecMainStatus {UNIT}").split()
    assert sorted(unit) == ["ActiveState=failed", "ExecMainStatus=78", "NRestarts=0"]
    assert "config.json: line 12, column 26" in vm.run(f"journalctl -u {UNIT} -n 12 -o cat")
    refused(vm.deploy(), "config.json: line 12, column 26")


def test_an_unknown_key_is_refused_with_its_name_in_the_journal(vm: VirtualBoard) -> None:
    vm.run(f'sed -i \'s/"default_threads"/"default_thread"/\' {CONFIG}; systemctl restart {UNIT}; {FAILED}')
    assert "models.default_thread is unknown: did you mean models.default_threads?" in vm.run(
        f"journalctl -u {UNIT} -n 12 -o cat"
    )


def test_an_edit_that_cannot_be_used_does_not_stop_the_server_that_runs(vm: VirtualBoard) -> None:
    vm.run(f'sed -i \'s/"port": 11434/"port": 99999/\' {CONFIG}')
    refused(vm.deploy(), "server.port is 99999: must be a whole number from 1 to 65535")
    assert vm.run("curl -s http://127.0.0.1:11434/health") == '{"status":"ok"}'


def test_a_stray_config_ini_does_not_change_the_service(vm: VirtualBoard) -> None:
    before = vm.board.ask("/props").json["default_generation_settings"]
    vm.run("mkdir -p /etc/llama.cpp && printf 'n-predict = 1\\nseed = 7\\nmin-p = 0.9\\n' > /etc/llama.cpp/config.ini")
    vm.board.restart()
    assert vm.board.ask("/props").json["default_generation_settings"] == before
    vm.run("rm -r /etc/llama.cpp")


def test_a_taken_port_is_named(vm: VirtualBoard) -> None:
    vm.run("systemd-run --unit squatter --collect python3 -m http.server 11500 --bind 127.0.0.1")
    vm.run(until("ss -ltn | grep -q :11500"))
    refused(vm.deploy("--data", "server_port=11500"), "server.port 11500: Address already in use")
    vm.run("systemctl stop squatter")


def test_a_package_that_owns_llama_server_is_left_alone(vm: VirtualBoard) -> None:
    vm.run(
        "mkdir -p /tmp/p/DEBIAN /tmp/p/usr/bin && echo echo theirs > /tmp/p/usr/bin/llama-server && cd /tmp &&"
        " printf 'Package: llama.cpp-theirs\\nVersion: 1\\nArchitecture: all\\nMaintainer: x <x@y.example>\\n"
        "Description: theirs\\n' > p/DEBIAN/control && dpkg-deb -b p p.deb >/dev/null &&"
        " dpkg -i p.deb >/dev/null 2>&1"
    )
    refused(vm.deploy(), "/usr/bin/llama-server belongs to the package llama.cpp-theirs")
    assert vm.run("cat /usr/bin/llama-server") == "echo theirs"
    vm.run("dpkg -r llama.cpp-theirs >/dev/null; rm -r /tmp/p /tmp/p.deb")


def test_a_router_without_a_model_is_not_believed(vm: VirtualBoard) -> None:
    """It answers /health with 200."""
    url = "http://127.0.0.1:11600"
    vm.run("systemd-run --unit router --collect llama-server --port 11600 --offline")
    vm.run(f"curl -s --retry 40 --retry-delay 1 --retry-all-errors -f {url}/health")
    assert Health.from_json(vm.run(f"boardllama health --json --url {url}")).state is State.WRONG
    vm.run("systemctl stop router")


def test_a_context_above_the_models_own_is_refused(vm: VirtualBoard) -> None:
    refused(vm.deploy("--data", "context_size=8192"), "context_size is 8192", "trained for 4096 tokens")
    assert serves(vm)


def test_a_model_path_never_reaches_a_shell(vm: VirtualBoard, big_model: Path) -> None:
    done = vm.deploy("--data", "model=path", "--data", f"model_path={big_model}")
    assert done.returncode == 0, done.said
    assert vm.board.ask("/props").json["model_alias"] == big_model.name
    assert serves(vm)
    vm.run("rm -f /var/lib/ollama/models/*big*")


def test_a_full_disk_is_said_before_anything_is_brought(vm: VirtualBoard, big_model: Path) -> None:
    free = int(vm.run("df -B1 --output=avail /var/lib/ollama | tail -n 1"))
    vm.run(f"fallocate -l {free - 80 * MEGABYTE} /var/filler")
    refused(
        vm.deploy("--data", "model=path", "--data", f"model_path={big_model}"), "60 MB to bring", "free on the target"
    )
    assert serves(vm)
    vm.run("rm /var/filler")


def test_a_transfer_that_was_interrupted_goes_on_where_it_stopped(vm: VirtualBoard, big_model: Path) -> None:
    part = "/var/lib/ollama/models/.store/*/.*.part"
    running = vm.start("-y", "--data", "model=path", "--data", f"model_path={big_model}")
    size = f"stat -c %s {part} 2>/dev/null || echo 0"
    for _ in range(200):
        if int(vm.run(size)) > 5 * MEGABYTE:
            break
        time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    running.wait(timeout=60)
    arrived = int(vm.run(f"sleep 2; {size}"))
    assert 5 * MEGABYTE < arrived < 60 * MEGABYTE
    assert serves(vm)
    done = vm.deploy("--data", "model=path", "--data", f"model_path={big_model}")
    assert done.returncode == 0, done.said
    assert f"{arrived // MEGABYTE} of 60 MB are there already" in done.said
    assert vm.board.ask("/props").json["model_alias"] == big_model.name
    vm.run("rm -f /var/lib/ollama/models/*big*")


class TestHub:
    """The model comes from a hub on the loopback, through the real client."""

    @pytest.fixture
    def hub(self) -> Iterator[HubServer]:
        """A hub that has the smoke model under another name."""
        with HubServer() as server:
            yield server

    @pytest.fixture
    def cache(self, tmp_path: Path) -> Path:
        """The controller's, in which no model is yet."""
        return copy_cache(tmp_path / "cache", without="models")

    def deploy(self, vm: VirtualBoard, hub: HubServer, cache: Path, **changes: str) -> Deploy:
        """Deploys the hub's model."""
        model = hub.publish("boardllama/smoke", "hub.gguf", smoke.smoke_model().read_bytes())
        pins = {
            "model": "hub",
            "model_repo": model.repo,
            "model_file": model.file,
            "model_revision": model.revision,
            "model_sha256": model.sha256,
            "model_size": str(model.size),
        }
        options = [part for key, value in (pins | changes).items() for part in ("--data", f"{key}={value}")]
        return vm.deploy(*options, env={"HF_ENDPOINT": hub.url, "BOARDLLAMA_CACHE": str(cache)})

    def test_a_model_that_is_not_the_pinned_one_changes_nothing(
        self, vm: VirtualBoard, hub: HubServer, cache: Path
    ) -> None:
        before = vm.run("ls -l --time-style=full-iso /var/lib/ollama/models")
        refused(self.deploy(vm, hub, cache, model_sha256="ab" * 32), "sha256", "expected abababab")
        hub.fault = Fault.GATED
        refused(self.deploy(vm, hub, cache, model_sha256="cd" * 32), "HF_TOKEN")
        assert vm.run("ls -l --time-style=full-iso /var/lib/ollama/models") == before
        assert serves(vm)

    def test_a_model_from_the_hub_is_served(self, vm: VirtualBoard, hub: HubServer, cache: Path) -> None:
        done = self.deploy(vm, hub, cache)
        assert done.returncode == 0, done.said
        assert vm.board.ask("/props").json["model_alias"] == "hub.gguf"
        assert hub.count("GET") == 1
        vm.run("rm /var/lib/ollama/models/hub.gguf")
