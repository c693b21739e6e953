"""The programs of a release, as a person types them."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from deploy.hosts.release import onboard_programs, programs_of_role
from deploy.onboard.server import launch


def unpack(folder: Path, programs: dict[str, bytes]) -> None:
    """Writes programs as they lie on a host."""
    for name, content in programs.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`boardllama` as a release holds it, with nothing but the standard library."""
    unpack(folder, onboard_programs())
    program = folder / "boardllama"
    return subprocess.run(
        [sys.executable, "-IS", str(program), *arguments], capture_output=True, text=True, timeout=20, check=False
    )


@pytest.mark.parametrize("programs", [onboard_programs, partial(programs_of_role, "gateway")])
def test_each_module_finds_what_it_imports_among_what_a_host_gets(
    tmp_path: Path, programs: Callable[[], dict[str, bytes]]
) -> None:
    """A board has no programs of gateways."""
    unpack(tmp_path, programs())
    names = [name[:-3].replace("/", ".") for name in programs() if name.endswith(".py")]
    code = f"import importlib, sys; sys.path.insert(0, {str(tmp_path)!r}); [*map(importlib.import_module, {names})]"
    done = subprocess.run([sys.executable, "-ISB", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_command_line_answers_in_one_line(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{"server": {"port": 8080}}')
    bad.write_text('{"server": {"prot": 8080}}')
    assert run(tmp_path, "check-config", str(good)).returncode == 0
    answer = run(tmp_path, "check-config", str(bad))
    assert answer.returncode == launch.EX_CONFIG
    assert answer.stderr == f"ollama-cpp-server: {bad}: server.prot is unknown: did you mean server.port?\n"
    assert run(tmp_path, "check-config", str(tmp_path / "none.json")).returncode == launch.EX_CONFIG
    assert run(tmp_path, "--nonsense").returncode == 2
