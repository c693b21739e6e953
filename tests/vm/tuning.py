"""`make tune` on a VM one of whose cores is slow, which its kernel does not know: the sweep finds the other.

`make tunes`: eight minutes, for which `make test` has no room.
"""

import os
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.paths import REPO
from deploy.vm.machine import Machine
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
    assert again.returncode == 0, again.said
    allowed = slow_core.run(f"sed -n 's/^Cpus_allowed_list:\t//p' /proc/{slow_core.board.process}/task/*/status")
    assert set(allowed.split()) == {"1"}


def test_a_sweep_that_is_interrupted_leaves_the_board_as_it_was(vm: VirtualBoard, inventory: Path) -> None:
    before = vm.run(f"cat {PAGES}")
    words = ["-y", str(inventory), "deploy.tune.story.tune_boards", f"inventory={inventory}"]
    running = subprocess.Popen(
        [str(PYINFRA), *words], cwd=REPO, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert running.stderr
    assert any("threads and cores" in line for line in running.stderr)
    running.kill()
    gone = 'test -z "$(ls -d /var/tmp/boardllama-tune.* 2>/dev/null)"'
    vm.run(f"for _ in $(seq 60); do {gone} && exit; sleep 1; done; exit 1")
    assert vm.run(f"pgrep -c llama-bench; cat {PAGES}; ls /run/boardllama/tune.json 2>&1 || true").startswith(
        f"0\n{before}"
    )
    assert vm.run("boardllama health").strip() == "ready"


PAGES = "/sys/kernel/mm/transparent_hugepage/enabled"
