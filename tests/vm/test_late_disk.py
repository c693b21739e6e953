"""The models on a disk that comes late, and goes: here a folder that fstab binds to the place of the models."""

from collections.abc import Iterator

import pytest

from deploy.onboard.server.health import State
from deploy.onboard.service import OLLAMA
from tests.vm.machine import VirtualBoard
from tests.vm.test_bad_input import serves, until
from tests.vm.test_deploy import vm
from tests.vm.test_service import HEALTHY

MODELS, UNIT = OLLAMA.models, OLLAMA.unit

__all__ = ["vm"]

DISK, SHELF = "/srv/disk", "/srv/shelf"
# A folder that is not there systemd makes for a bind mount; a file in its place it cannot mount.
PLUG = f"rm {DISK}; mv {SHELF} {DISK}"
PULL = f"umount -l {MODELS}; mv {DISK} {SHELF}; touch {DISK}"


@pytest.fixture
def unplugged(vm: VirtualBoard) -> Iterator[VirtualBoard]:
    """The models are on a disk that is not there, and the service is started all the same."""
    vm.run(f"systemctl stop {UNIT}; mv {MODELS} {SHELF}; touch {DISK}; install -d {MODELS}; cp /etc/fstab /srv/fstab")
    vm.run(f"echo '{DISK} {MODELS} none bind,nofail 0 0' >> /etc/fstab; systemctl daemon-reload")
    vm.run(f"systemctl start {UNIT}")
    yield vm
    vm.run(f"systemctl stop {UNIT}; test -d {SHELF} || {{ {PULL}; }}; rmdir {MODELS}; mv {SHELF} {MODELS}; rm {DISK}")
    vm.run(f"mv /srv/fstab /etc/fstab; systemctl daemon-reload; systemctl restart {UNIT}")


def test_the_service_waits_for_the_disk_and_comes_up_when_it_appears(unplugged: VirtualBoard) -> None:
    vm = unplugged
    assert vm.board.health.state is State.WAITING
    assert f"nothing is mounted on {MODELS}" in " ".join(vm.run("boardllama-doctor; true").split())
    refused = vm.deploy()
    assert refused.returncode == 1
    assert f"nothing is mounted on {MODELS}, where a disk is to be" in refused.said
    assert vm.run(f"ls -A {MODELS}") == ""
    vm.run(f"{PLUG}; mount {MODELS}; {HEALTHY}")
    assert serves(vm)
    # The disk is pulled: its pages are gone, and reading one is SIGBUS.
    vm.run(f"{PULL}; kill -BUS {vm.board.process}; {until('test -e /run/ollama-cpp-server/awaited')}")
    assert "lost the file that it reads (SIGBUS)" in vm.run(f"journalctl -b -u {UNIT} -n 20 -o cat")
    # Each start has systemd mount it.
    vm.run(f"{PLUG}; systemctl restart {UNIT}; {HEALTHY}")
    assert serves(vm)
