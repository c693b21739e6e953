"""The programs of a release, as a person types them."""

import subprocess
import sys
from pathlib import Path

from deploy.hosts.release import onboard_programs
from deploy.onboard.server import launch


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`boardllama` as a release holds it, with nothing but the standard library."""
    for name, content in onboard_programs().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    program = folder / "boardllama"
    return subprocess.run(
        [sys.executable, "-IS", str(program), *arguments], capture_output=True, text=True, timeout=20, check=False
    )


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
