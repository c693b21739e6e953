"""The build that `make up` makes while the VM starts is the one that the VM's deploy asks for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.build.artifact import Build
from deploy.cpu import find_cpu
from deploy.paths import REPO
from deploy.stages import vm_build as made
from deploy.vm.machine import Hardware, Machine


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a VM that was never started."""
    monkeypatch.setattr(made, "machine_folder", lambda: tmp_path)
    return tmp_path


def keep_hardware(folder: Path, cpu: str) -> None:
    Machine(folder, 1, 2, folder / "vmlinuz", "root", Hardware(cpu)).save()


def test_a_vm_that_was_never_up_will_have_the_processor_of_its_first_start() -> None:
    assert made.vm_build() == Build(made.vm_settings().source, find_cpu(Hardware().cpu))


def test_a_vm_starts_with_the_processor_that_it_had(folder: Path) -> None:
    keep_hardware(folder, "cortex-a53")
    build = made.vm_build()
    assert build and build.cpu.name == "cortex-a53"


def test_of_a_processor_that_only_the_vm_can_tell_no_build_is_guessed(folder: Path) -> None:
    keep_hardware(folder, "max")
    assert made.vm_build() is None


def test_the_vm_has_the_settings_of_its_group() -> None:
    assert made.vm_settings().model == "smoke"


def test_a_build_that_is_there_is_not_made_again(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made, "is_there", lambda build: True)
    made.ensure_vm_build()
    assert capfd.readouterr() == ("", "")


def test_a_cache_that_cannot_be_written_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = os.environ | {"BOARDLLAMA_CACHE": str(tmp_path / "file/cache"), "BOARDLLAMA_VM": "never-was"}
    words = [sys.executable, "-m", "deploy.stages.vm_build"]
    done = subprocess.run(words, cwd=REPO, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr
    assert str(tmp_path / "file/cache") in done.stderr
