"""The models on a disk that comes late, and goes: here a folder that fstab binds to the place of the models."""

from collections.abc import Iterator

import pytest

from deploy.onboard.health import State
from deploy.onboard.places import MODELS, UNIT
from tests.vm.machine import VirtualBoard
from tests.vm.test_bad_input import serves, until
from tests.vm.test_deploy import vm
from tests.vm.test_service import HEALTHY

__all__ = ["vm"]

DISK, SHELF = "/srv/disk", "/srv/shelf"


@pytest.fixture
def unplugged(vm: VirtualBoard) -> Iterator[VirtualBoard]:
    """The models are on a disk that is not there, and the service is started all the same."""
    vm.run(f"systemctl stop {UNIT}; mv {MODELS} {SHELF}; install -d {MODELS}; cp /etc/fstab /etc/fstab.before")
    vm.run(
        f"echo '{DISK} {MODELS} none bind,nofail 0 0' >> /etc/fstab; systemctl daemon-reload; systemctl start {UNIT}"
    )
    yield vm
    vm.run(f"systemctl stop {UNIT}; umount -l {MODELS}; rmdir {MODELS}; mv {DISK} {MODELS} || mv {SHELF} {MODELS}")
    vm.run(f"mv /etc/fstab.before /etc/fstab; systemctl daemon-reload; systemctl restart {UNIT}")


def test_the_service_waits_for_the_disk_and_comes_up_when_it_appears(unplugged: VirtualBoard) -> None:
    vm = unplugged
    assert vm.board.health.state is State.WAITING
    assert f"nothing is mounted on {MODELS}" in " ".join(vm.run("boardllama-doctor; true").split())
    refused = vm.deploy()
    assert refused.returncode == 1
    assert f"nothing is mounted on {MODELS}, where a disk is to be" in refused.said
    assert vm.run(f"ls -A {MODELS}") == ""
    vm.run(f"mv {SHELF} {DISK}; mount {MODELS}; {HEALTHY}")
    assert serves(vm)
    # The disk is pulled: its pages are gone, and reading one is SIGBUS.
    vm.run(f"umount -l {MODELS}; kill -BUS {vm.board.process}; {until('test -e /run/ollama-cpp-server/awaited')}")
    assert "lost the file that it reads (SIGBUS)" in vm.run(f"journalctl -b -u {UNIT} -n 20 -o cat")
    # Each start has systemd mount it.
    vm.run(f"systemctl restart {UNIT}; {HEALTHY}")
    assert serves(vm)
