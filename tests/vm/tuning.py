"""`make tune` on a VM: it finds the fast core, which the kernel does not know, and leaves nothing when it is cut.

`make tunes`: a quarter of an hour, for which `make test` has no room.
"""

import os
import runpy
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.onboard.places import PLACES
from deploy.onboard.service import OLLAMA
from deploy.onboard.tune.borrowed import NOTE
from deploy.paths import REPO
from deploy.vm.lifecycle import start_machine
from deploy.vm.machine import Machine
from deploy.vm.power import cut_power
from tests.faults.relay import Relay
from tests.vm.big_little import CGROUPS, PERIOD, slowed
from tests.vm.machine import DEADLINE, INVENTORY, PYINFRA, VirtualBoard
from tests.vm.test_cores import two_cores
from tests.vm.test_deploy import vm

__all__ = ["two_cores", "vm"]

# Of the host's time the first core gets a fifth of what the second may have.
QUOTAS = (PERIOD // 5, PERIOD)


@pytest.fixture
def slow_core(two_cores: None, vm: VirtualBoard) -> Iterator[VirtualBoard]:
    """The VM while its first core is slow."""
    if not CGROUPS.is_dir():
        pytest.fail(f"{CGROUPS} is not there: a virtual CPU is slowed by a cgroup of version 1")
    with slowed(Machine.load(), QUOTAS):
        yield vm


def tune(inventory: Path, **words: str) -> "subprocess.CompletedProcess[str]":
    """`make tune` with an inventory of the test."""
    line = ["make", "--no-print-directory", "tune", f"INVENTORY={inventory}", *(f"{n}={v}" for n, v in words.items())]
    return subprocess.run(line, cwd=REPO, env=os.environ, capture_output=True, text=True, timeout=DEADLINE, check=False)


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """The VM's inventory with group data of its own."""
    shutil.copytree(INVENTORY.parent / "group_data", tmp_path / "group_data")
    return Path(shutil.copy(INVENTORY, tmp_path))


def test_the_fast_core_is_found_and_the_next_deploy_uses_it(slow_core: VirtualBoard, inventory: Path) -> None:
    done = tune(inventory, MINUTES="4", WEIGHT="0")
    assert done.returncode == 0, done.stderr
    found = runpy.run_path(str(inventory.parent / "group_data" / "qemu.py"))
    assert (found["cores"], found["threads"]) == ("1", 1), done.stdout
    assert found["tuned_tokens_per_second"] > 0
    assert "tokens/s (a token reads" in done.stdout
    again = slow_core.deploy(inventory=inventory)
    assert (again.returncode, "Activate | Switch to the release" in again.changed) == (0, True), again.said
    assert slow_core.deploy(inventory=inventory).changed == []
    allowed = slow_core.run(f"sed -n 's/^Cpus_allowed_list:\t//p' /proc/{slow_core.board.process}/task/*/status")
    assert set(allowed.split()) == {"1"}


@pytest.fixture
def small_pages(two_cores: None, vm: VirtualBoard) -> Iterator[VirtualBoard]:
    """The VM, whose sweep has huge pages to try."""
    before = vm.run(f"grep -o '[[].*[]]' {PAGES}").strip().strip("[]")
    vm.run(f"echo madvise > {PAGES}")
    yield vm
    vm.run(f"echo {before} > {PAGES}")


@dataclass
class Sweep:
    """A sweep whose controller reaches the VM through a relay, in a process group of its own, as in a terminal."""

    process: "subprocess.Popen[str]"
    relay: Relay

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(60)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)

    def fall_silent(self) -> None:
        """A cable is pulled: neither side is told."""
        self.relay.blackhole()

    def cut_power(self) -> None:
        """The power of the VM goes and comes back."""
        cut_power(Machine.load())
        start_machine()


@contextmanager
def sweep(inventory: Path) -> Iterator[Sweep]:
    """A sweep that has stopped the server; its controller is gone afterwards."""
    (known := inventory.with_name("known_hosts")).touch()
    with Relay(Machine.load().ssh_port) as relay:
        options = [f"--data=ssh_port={relay.port}", f"--data=ssh_known_hosts_file={known}", "--data=tune_minutes=30"]
        words = [str(inventory), "deploy.tune.story.tune_boards", f"inventory={inventory}", "stop_serving=True"]
        process = subprocess.Popen(
            [str(PYINFRA), "-y", *options, *words],
            cwd=REPO,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield Sweep(process, relay)
        finally:
            process.kill()
            process.communicate()


@pytest.mark.parametrize(
    ("cut", "moment"),
    [
        (Sweep.interrupt, "threads and cores: "),
        (Sweep.cut_power, "threads and cores: "),
        (Sweep.kill, "pages always: "),
        (Sweep.fall_silent, "threads and cores: "),
    ],
)
def test_a_sweep_that_is_cut_leaves_the_board_as_it_was(
    small_pages: VirtualBoard, inventory: Path, cut: Callable[[Sweep], None], moment: str
) -> None:
    vm = small_pages
    state = f"readlink -f {PLACES.current}; cat {PAGES}"
    before = vm.run(state)
    with sweep(inventory) as running:
        assert running.process.stderr
        assert any(moment in line for line in running.process.stderr)
        assert "boardllama tune" in vm.run(LEFT)
        assert OLLAMA.unit in vm.run(f"cat {NOTE}"), "it was stopped"
        cut(running)
        vm.run(f'for _ in $(seq 90); do test -z "$({LEFT})" && exit; sleep 1; done; {LEFT} >&2; exit 1')
    vm.board.await_health()
    if cut is Sweep.cut_power:
        vm.run(f"echo madvise > {PAGES}")
    assert vm.run(state) == before
    assert vm.deploy(inventory=inventory).changed == []


PAGES = "/sys/kernel/mm/transparent_hugepage/enabled"
# Each line is something that a sweep has there while it runs.
LEFT = f"ls -d /var/tmp/boardllama-tune.* {NOTE} 2>/dev/null; pgrep -af '/llama-benc[h] |/boardllama tun[e] '; true"
