"""`make answers` before and after another build: what changed is said."""

import subprocess
import sys
from pathlib import Path

from deploy.paths import REPO
from tests.board.answers import QUESTIONS
from tests.vm.machine import INVENTORY, VirtualBoard
from tests.vm.test_deploy import vm

__all__ = ["vm"]


def answers(file: Path) -> list[str]:
    """What is said of the VM."""
    words = [sys.executable, "-m", "tests.board.answers", str(INVENTORY), str(file)]
    return subprocess.run(words, cwd=REPO, capture_output=True, text=True, check=True).stdout.splitlines()


def test_answers_are_compared_with_those_of_the_build_before(vm: VirtualBoard, tmp_path: Path) -> None:
    file, count = tmp_path / "qemu.answers.json", len(QUESTIONS)
    assert answers(file)[0].endswith(": the first answers of this model here; later ones are compared with them")
    (again,) = answers(file)
    assert f": all {count} answers are as by cortex-a76-" in again, "one build gives one answer"
    assert vm.deploy("--data", "cpu=generic").returncode == 0
    said = answers(file)[0]
    assert " by generic-" in said
    assert f" of {count} answers are not as by cortex-a76-" in said or f": all {count} answers are as by cort" in said
