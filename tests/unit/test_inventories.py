"""The inventories that come with the repository, and hosts that do not answer."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy import cpu
from deploy.hosts.facts.combined import MARK
from deploy.image.boards import BOARDS, BoardProfile
from deploy.paths import REPO
from deploy.settings import settings_from
from tests.unit.boards import hasty_config

PYINFRA = str(Path(sys.executable).with_name("pyinfra"))


def pyinfra(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """pyinfra as it is typed."""
    return subprocess.run(
        [PYINFRA, *arguments],
        cwd=REPO,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_worked_example_has_two_kinds_of_boards_with_valid_settings() -> None:
    done = pyinfra("inventory/boards.py", "debug-inventory", "--json")
    hosts = {host["name"]: host for host in json.loads(done.stdout)}
    assert "builders" in hosts["@local"]["groups"]
    cpus = set()
    for name in ("kitchen.example", "hall.example", "lab.example"):
        assert "targets" in hosts[name]["groups"]
        data = {key: value for key, value in hosts[name]["data"].items() if not key.startswith("ssh_")}
        cpus.add(settings_from(data).cpu)
    assert cpus == {"cortex-a76", "cortex-a72"}


def image_data(inventory: Path, tree: Path, board: str, **told: str) -> dict[str, Any]:
    """What the inventory of images tells the root tree of that board."""
    done = pyinfra(
        str(inventory), "debug-inventory", "--json", BOARDLLAMA_TREE=str(tree), BOARDLLAMA_BOARD=board, **told
    )
    hosts = {host["name"]: host for host in json.loads(done.stdout)}
    data: dict[str, Any] = hosts[f"@tree{tree}"]["data"]
    return data


@pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))
def test_group_data_of_a_kind_of_board_reach_its_image(board: BoardProfile, tmp_path: Path) -> None:
    """Those that come with the repository, and those that a fleet's owner writes; MODEL of `make image` wins."""
    told = image_data(REPO / "inventory" / "image.py", tmp_path, board.short_name)
    assert told["model"] == ("smoke" if board.name == "qemu" else "hub")
    hardware = cpu.find_cpu(told["board_cpu"])
    best = cpu.best_for(hardware.features, cpu.part_of(hardware)).name
    assert (best if told["cpu"] == "auto" else told["cpu"]) == board.cpu

    shutil.copytree(REPO / "inventory", tmp_path / "inventory")
    group_data = tmp_path / "inventory" / "group_data" / f"{board.name}.py"
    group_data.write_text('top_k = 7\nmodel = None\ncpu = "generic"\n')
    inventory = tmp_path / "inventory" / "image.py"
    told = image_data(inventory, tmp_path, board.name)
    assert (told["top_k"], told["model"], told["cpu"]) == (7, None, "generic")
    assert image_data(inventory, tmp_path, board.name, BOARDLLAMA_MODEL="hub")["model"] == "hub"


def test_a_vm_that_is_not_up_is_one_line(tmp_path: Path) -> None:
    done = pyinfra("inventory/qemu.py", "deploy.py", "--dry", BOARDLLAMA_VM="never-was")
    assert done.returncode == 1
    assert "the VM never-was is not up: run make vm" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_host_that_does_not_answer_is_one_line_and_the_others_go_on(tmp_path: Path) -> None:
    inventory = tmp_path / "two.py"
    laptop = {"fake_delay": 0, "fake_responses": {"echo machine": [f"{MARK}board", "machine x86_64"]}}
    targets = [("dead", {"ssh_hostname": "127.0.0.1", "ssh_port": 1}), ("@fake/board", laptop)]
    inventory.write_text(f'builders = ["@fake/builder"]\ntargets = {targets!r}\n')
    group_data = ["--group-data", str(REPO / "inventory" / "group_data"), "--config", hasty_config(tmp_path)]
    done = pyinfra(str(inventory), "deploy.py", "-y", *group_data, PYINFRA_FAKE_DELAY="0")
    assert done.returncode == 1
    assert "Could not connect: it refuses the connection" in done.stderr
    assert "this machine is x86_64" in done.stderr
    assert "Traceback" not in done.stderr


def test_this_machine_is_refused_as_a_board_when_it_is_none() -> None:
    machine = os.uname().machine
    done = pyinfra("inventory/local.py", "deploy.py", "--dry")
    assert done.returncode == 0
    refused = f"would be refused: this machine is {machine}: boardllama serves aarch64" in done.stderr
    assert refused == (machine != "aarch64")
