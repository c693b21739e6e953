"""The server keeps to the fast cores: what the kernel says of the running process, not what was asked of it."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from deploy.onboard.service import OLLAMA
from deploy.paths import REPO
from tests.vm.machine import VirtualBoard
from tests.vm.test_deploy import vm

CONFIG, UNIT = OLLAMA.config, OLLAMA.unit

__all__ = ["vm"]

CAPACITY = "/sys/devices/system/cpu/cpu0/cpu_capacity"
DROP_IN = f"/run/systemd/system/{UNIT}.d"


def start_with_cores(number: int) -> None:
    """Starts the VM anew, with the disk that it has."""
    for words in (["down"], ["up", "--cores", str(number)]):
        subprocess.run([sys.executable, "-m", "deploy.vm", *words], cwd=REPO, check=True)


@pytest.fixture(scope="module")
def two_cores(deployed_vm: VirtualBoard) -> Iterator[None]:
    """The VM has two cores; the other tests need one."""
    start_with_cores(2)
    yield
    start_with_cores(1)


@pytest.fixture
def slow_core(two_cores: None, vm: VirtualBoard) -> Iterator[VirtualBoard]:
    """The VM, whose kernel says that its first core has two fifths of the speed of the other; as it was afterwards."""
    vm.run(f"echo 400 > /run/slow && mount --bind /run/slow {CAPACITY} && cp -p {CONFIG} /run/kept")
    yield vm
    vm.run(f"umount {CAPACITY}; cp -p /run/kept {CONFIG}; rm -rf {DROP_IN}; systemctl daemon-reload")
    vm.board.restart()


def allowed(vm: VirtualBoard) -> set[str]:
    """The lists of cores that the threads of the running server may use."""
    return set(vm.run(f"sed -n 's/^Cpus_allowed_list:\t//p' /proc/{vm.board.process}/task/*/status").split())


def threads(vm: VirtualBoard) -> tuple[str, str]:
    """What the running server was told of tokens and of prompts."""
    told = vm.board.arguments
    return told[told.index("--threads") + 1], told[told.index("--threads-batch") + 1]


def test_on_equal_cores_all_of_them_work(two_cores: None, vm: VirtualBoard) -> None:
    assert (allowed(vm), threads(vm)) == ({"0-1"}, ("2", "2"))


def test_a_slow_core_is_left_alone_unless_its_operator_asks_for_it(slow_core: VirtualBoard) -> None:
    slow_core.board.restart()
    assert (allowed(slow_core), threads(slow_core)) == ({"1"}, ("1", "1"))
    slow_core.run(f'sed -i \'s/"default_batch_threads": 0/"default_batch_threads": 2/\' {CONFIG}')
    slow_core.board.restart()
    assert (allowed(slow_core), threads(slow_core)) == ({"0-1"}, ("1", "2"))


def test_an_operator_s_own_choice_of_cores_stands(slow_core: VirtualBoard) -> None:
    slow_core.run(f"mkdir -p {DROP_IN}; printf '[Service]\\nCPUAffinity=0\\n' > {DROP_IN}/cores.conf")
    slow_core.run("systemctl daemon-reload")
    slow_core.board.restart()
    assert (allowed(slow_core), threads(slow_core)) == ({"0"}, ("1", "1"))
