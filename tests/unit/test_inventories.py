"""The inventories that come with the repository, and hosts that do not answer."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy import cpu, defaults
from deploy.hosts.facts.combined import MARK
from deploy.image.boards import BOARDS, BoardProfile
from deploy.paths import REPO
from deploy.settings import settings_from
from deploy.vm.machine import Hardware, Machine
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


@pytest.mark.parametrize(
    "words", [["--limit", "nobody"], ["--limit", ""], ["--exclude", "builders", "--exclude", "targets"]]
)
def test_a_run_for_nobody_is_an_error_that_names_the_hosts(words: list[str]) -> None:
    done = pyinfra("-y", *words, "inventory/boards.py", "deploy.py")
    assert done.returncode != 0
    assert "no host of the inventory is left: name hosts or groups of it with --limit (LIMIT=)" in done.stderr
    assert done.stderr.rstrip().endswith("its hosts are @local, kitchen.example, hall.example, lab.example")


def test_an_inventory_whose_targets_have_another_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "typo.py").write_text('builders = ["@local"]\ntarget = ["kitchen.invalid"]\n')
    done = pyinfra("-y", str(tmp_path / "typo.py"), "deploy.py")
    assert done.returncode != 0
    assert "name a list of boards `targets` in it; it has builders, target, typo" in done.stderr


# What `pyinfra INVENTORY debug-inventory` does, for one inventory after the other in one process.
READER = """
import json, os, sys
from pyinfra.api import State
from pyinfra.context import ctx_state
from pyinfra_cli.inventory import make_inventory
from pyinfra_cli.util import json_encode
ctx_state.set(State())
unset, told = dict(os.environ), []
for inventory, environment in json.load(sys.stdin):
    os.environ.clear()
    os.environ.update(unset | environment)
    hosts = make_inventory(inventory, cwd=os.getcwd()).hosts.values()
    told.append({host.name: host.data.dict() for host in hosts})
print(json.dumps(told, default=json_encode))
"""
Data = dict[str, Any]


@pytest.fixture(scope="module")
def image_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Data]]:
    """By board, what the inventory of images tells its tree: ours, a fleet's with group data, and that with a MODEL."""
    tree, fleet = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("fleet") / "inventory"
    shutil.copytree(REPO / "inventory", fleet)
    asked: list[tuple[str, dict[str, str]]] = []
    for number, board in enumerate(BOARDS.values()):
        group_data = fleet / "group_data" / f"{board.name}.py"
        group_data.write_text(f'top_k = {number + 7}\nmodel = None\ncpu = "generic"\n')
        named = {"BOARDLLAMA_TREE": str(tree), "BOARDLLAMA_BOARD": board.name}
        asked.append((str(REPO / "inventory" / "image.py"), named | {"BOARDLLAMA_BOARD": board.short_name}))
        asked.append((str(fleet / "image.py"), named))
        asked.append((str(fleet / "image.py"), named | {"BOARDLLAMA_MODEL": "hub"}))
    done = subprocess.run(
        [sys.executable, "-c", READER], cwd=REPO, input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    told = iter([hosts[f"@tree{tree}"] for hosts in json.loads(done.stdout)])
    return {name: [next(told) for _ in range(3)] for name in BOARDS}


@pytest.mark.parametrize(("number", "board"), list(enumerate(BOARDS.values())), ids=list(BOARDS))
def test_group_data_of_a_kind_of_board_reach_its_image(
    number: int, board: BoardProfile, image_data: dict[str, list[Data]]
) -> None:
    """Those that come with the repository, and those that a fleet's owner writes; MODEL of `make image` wins."""
    ours, fleets, with_model = image_data[board.name]
    assert ours.get("model", defaults.model) == ("smoke" if board.name == "qemu" else "auto")
    hardware = cpu.find_cpu(ours["board_cpu"])
    best = cpu.best_for(hardware.features, cpu.part_of(hardware)).name
    told = ours.get("cpu", defaults.cpu)
    assert (best if told == "auto" else told) == board.cpu
    assert (fleets["top_k"], fleets["model"], fleets["cpu"]) == (number + 7, None, "generic")
    assert with_model["model"] == "hub"


def test_the_vm_is_a_board_of_the_kind_that_its_image_is_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By a group that a copy of the inventory has too: pyinfra makes groups of file names."""
    machine = Machine(tmp_path / "dev", 2222, 8080, tmp_path, "", Hardware())
    monkeypatch.setattr(Machine, "load", lambda: machine)
    told = runpy.run_path(str(REPO / "inventory" / "qemu.py"))
    assert [name for name, _ in told["qemu"]] == [name for name, _ in told["targets"]] == ["dev"]
    assert "qemu" in BOARDS
    assert runpy.run_path(str(REPO / "inventory" / "group_data" / "qemu.py"))["model"] == "smoke"


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
    done = pyinfra(str(inventory), "deploy.py", "-y", "--config", hasty_config(tmp_path), PYINFRA_FAKE_DELAY="0")
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
