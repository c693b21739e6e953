"""`make doctor HOST=qemu` against a real machine: green when it serves, and one red line for what is broken."""

import json
import subprocess

import pytest

from deploy.onboard.service import OLLAMA
from tests.vm.machine import VirtualBoard, make
from tests.vm.test_deploy import vm

UNIT = OLLAMA.unit

__all__ = ["vm"]


def doctor() -> subprocess.CompletedProcess[str]:
    """Of the VM, as an operator types it."""
    return make("doctor", "HOST=qemu")


def lights(vm: VirtualBoard) -> dict[str, str]:
    """What the board says about itself, by name of the line."""
    told = json.loads(vm.run("boardllama-doctor --json || test $? = 1"))
    return {row["name"]: row["light"] for row in told["lines"]}


def red(vm: VirtualBoard) -> set[str]:
    """Names of the red lines."""
    return {name for name, light in lights(vm).items() if light == "BAD"}


def test_a_board_that_serves_has_no_red_line(vm: VirtualBoard) -> None:
    done = doctor()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BAD" not in done.stdout
    assert "answers; serves boardllama-smoke.gguf" in done.stdout
    assert len(done.stdout.splitlines()) < 24, "one screen"


def test_a_stopped_service_is_the_one_red_line(vm: VirtualBoard) -> None:
    vm.run(f"systemctl stop {UNIT}")
    assert red(vm) == {"service"}
    done = doctor()
    assert done.returncode == 2, "make's own for a recipe that failed"
    assert "is stopped" in done.stdout and f"systemctl start {UNIT}" in done.stdout
    vm.run(f"systemctl start {UNIT}")


def test_a_server_that_does_not_start_is_red_with_its_own_words(vm: VirtualBoard) -> None:
    vm.run(f"systemctl stop {UNIT}; systemd-run -q --unit=taken python3 -m http.server -b 127.0.0.1 11434")
    try:
        vm.run(f"until ss -ltn | grep -q 127.0.0.1:11434; do sleep 0.2; done; systemctl start {UNIT}; true")
        assert red(vm) == {"service"}
        assert "server.port 11434: Address already in use" in " ".join(vm.run("boardllama-doctor; true").split())
    finally:
        vm.run(f"systemctl stop taken; systemctl reset-failed {UNIT}; systemctl restart {UNIT}")


def test_a_wrong_config_is_said_with_its_key(vm: VirtualBoard) -> None:
    vm.run('sed -i \'s/"default_threads"/"default_thread"/\' /etc/ollama-cpp/config.json')
    vm.run(f"systemctl restart {UNIT}; true")
    said = vm.run("boardllama-doctor; true")
    assert "models.default_thread is unknown: did you mean models.default_threads?" in " ".join(said.split())


def test_a_clock_before_the_release_is_red(vm: VirtualBoard) -> None:
    """A board without a battery starts in 1970, or where it was switched off."""
    vm.run("date -s '-30 days' >/dev/null")
    try:
        assert red(vm) == {"clock"}
    finally:
        vm.run("date -s '+30 days' >/dev/null")


def test_a_full_disk_is_red(vm: VirtualBoard) -> None:
    vm.run("fallocate -l $(($(df --output=avail -B1 / | tail -1) - 50000000)) /var/filler")
    try:
        assert red(vm) == {"space"}
    finally:
        vm.run("rm /var/filler")


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_it_looks_as_whoever_asks_and_changes_nothing(vm: VirtualBoard, user: str) -> None:
    before = vm.run("find /run/boardllama /var/lib/boardllama /usr/lib/boardllama -newermt '-1 sec' | sort")
    said = vm.run(f"setpriv --reuid {user} --clear-groups boardllama-doctor; true")
    assert "Traceback" not in said
    assert ("sudo boardllama-doctor" in said) == (user != "root")
    assert vm.run("find /run/boardllama /var/lib/boardllama /usr/lib/boardllama -newermt '-1 sec' | sort") == before
