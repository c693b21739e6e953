"""After a reboot, and after the power went: all of it again."""

import subprocess
import sys

from deploy.paths import REPO
from tests.vm.machine import INVENTORY, VirtualBoard


def test_after_a_reboot_the_whole_board_suite_holds_again(deployed_vm: VirtualBoard) -> None:
    subprocess.run([sys.executable, "-m", "deploy.vm", "reboot"], cwd=REPO, check=True)
    deployed_vm.board.await_health()
    suite = [sys.executable, "-m", "pytest", "-q", "tests/board/test_board.py", "--inventory", str(INVENTORY)]
    done = subprocess.run(suite, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert deployed_vm.deploy().changed == []
