"""From a wheel in an environment of its own to a judged virtual board, by the words that the tutorial has."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from deploy.paths import REPO

# Seconds. A build of llama.cpp may be among it, on a busy machine.
DEADLINE = 3600.0


@pytest.fixture(scope="module")
def boardllama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, as pipx installs it."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPO, check=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([str(folder / "venv/bin/pip"), "install", "-q", str(wheel)], check=True)
    return folder / "venv/bin/boardllama"


@pytest.fixture
def fleet(boardllama: Path, tmp_path: Path) -> Path:
    """A folder with the inventory of two Raspberry Pi 5 that nobody has."""
    told = "--board rpi5 --host kitchen.local --host hall.local --user pi --model smoke --network".split()
    subprocess.run([str(boardllama), "init", str(tmp_path / "fleet"), *told], check=True)
    return tmp_path / "fleet"


def run_verb(program: Path, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """`boardllama WORDS` in that folder; what it says beside its result is shown."""
    told = {name: value for name, value in os.environ.items() if not name.startswith("BOARDLLAMA_VM")}
    line = [str(program), *words]
    return subprocess.run(line, cwd=folder, env=told, stdout=subprocess.PIPE, text=True, timeout=DEADLINE, check=False)


def test_the_lines_that_init_has_ci_run_rehearse_the_fleet(boardllama: Path, fleet: Path) -> None:
    """Boards that are alike are rehearsed once. What the CI system does itself, such as keeping a cache, is not run."""
    told = yaml.safe_load((fleet / ".github/workflows/boards.yml").read_text())
    (wheel,) = boardllama.parents[2].glob("*.whl")
    environment = os.environ | {"PATH": f"{boardllama.parent}:{os.environ['PATH']}", "BOARDLLAMA": str(wheel)}
    for line in [step["run"] for step in told["jobs"]["rehearse"]["steps"] if "run" in step]:
        subprocess.run(["bash", "-ec", line], cwd=fleet, env=environment, timeout=DEADLINE, check=True)
    suite = ElementTree.parse(fleet / "rehearsal.xml").getroot()
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("1", "0")
    (case,) = suite.iter("testcase")
    assert case.attrib["name"] == "kitchen.local"


def test_a_change_that_boards_would_refuse_is_red_before_they_see_it(boardllama: Path, fleet: Path) -> None:
    (fleet / "group_data/raspberry_pi_5.py").write_text("context_size = 1000000\nmodel = 'qwen3.5-2b'\n")
    done = run_verb(boardllama, fleet, "rehearse", "--json", "--junit", "rehearsal.xml")
    assert done.returncode == 1
    (row,) = json.loads(done.stdout)
    assert not row["good"] and "this board has" in row["reason"], row
    (fleet / "group_data/raspberry_pi_5.py").write_text("thread = 2\n")
    (row,) = json.loads(run_verb(boardllama, fleet, "rehearse", "--json").stdout)
    refused = ("kitchen.local", "refused", "unknown setting thread: did you mean threads?")
    assert (row["host"], row["verdict"], row["reason"]) == refused
    assert ElementTree.parse(fleet / "rehearsal.xml").getroot().attrib["failures"] == "1"


def test_a_folder_of_ones_own_is_enough_for_the_whole_way(boardllama: Path, tmp_path: Path) -> None:
    try:
        done = run_verb(boardllama, tmp_path, "up")
        assert done.returncode == 0 and "The server answers at http://127.0.0.1:" in done.stdout
        assert list(tmp_path.iterdir()) == [], "nothing is left in the current folder"
    finally:
        run_verb(boardllama, tmp_path, "vm", "down")
