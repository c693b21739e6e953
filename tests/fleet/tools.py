"""The tools that are compared: how each is told to do the same work on the same hosts."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.controller.progress import Progress
from deploy.debian.staging import ensure_folder
from deploy.errors import BoardllamaError
from deploy.paths import REPO
from tests.fleet.apart import run_folder
from tests.fleet.board_tree import HERE, deploys_cache, fleet_folder
from tests.fleet.boards import Board
from tests.fleet.inventories import Hosts, ansible_inventory, pyinfra_inventory
from tests.fleet.measure import Costs, measure_command

PLAYBOOK = HERE / "ansible"
OURS, MITOGEN = "boardllama", "mitogen"
FORKS = 50
# Ansible and Mitogen need a Python of at least this version on the controller.
OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True)
class Work:
    """What the hosts shall have. `build`: a folder of programs, `model`: a file; `top_k`: a value in their config.

    `distribution`: the way of the model to boards that have the choice.
    """

    build: Path
    model: Path
    top_k: int = 40
    distribution: str = "controller"


@dataclass(frozen=True)
class Invocation:
    """A command line with its folder and its variables."""

    command: list[str]
    cwd: Path
    env: Mapping[str, str]


def invoke_pyinfra(hosts: Hosts, work: Work, gateways: Hosts | None = None) -> Invocation:
    """A deploy of ours."""
    told = {"model_path": work.model, "model": "path", "top_k": work.top_k, "distribution": work.distribution}
    return invoke_deploy(pyinfra_inventory(hosts, gateways), told, deploys_cache())


def invoke_deploy(inventory: Path, told: Mapping[str, object], cache: Path) -> Invocation:
    """A deploy of ours to that inventory, with these settings for all hosts, by that cache of the controller."""
    options = [word for name, value in told.items() for word in ("--data", f"{name}={value}")]
    program = str(Path(sys.executable).with_name("pyinfra"))
    command = [program, "-y", *options, str(inventory), "deploy.py"]
    return Invocation(command, REPO, {**os.environ, "BOARDLLAMA_CACHE": str(cache)})


def deploy_reported(called: Invocation, boards: list[Board], log: Path) -> tuple[list[dict[str, Any]], Costs]:
    """Runs a deploy of ours. Returns its report's rows of boards, and what it cost. Raises BoardllamaError without."""
    report = run_folder() / "report.json"
    report.unlink(missing_ok=True)
    costs = measure_command([*called.command, "--data", f"report_json={report}"], boards, log, called.cwd, called.env)
    if not report.exists():
        kept = shutil.copy(log, fleet_folder() / log.name)
        raise BoardllamaError(f"the deploy left no report, and status {costs.status}: look into {kept}")
    rows: list[dict[str, Any]] = json.loads(report.read_text())["hosts"]
    return [row for row in rows if "board" in row["roles"]], costs


def invoke_ansible(hosts: Hosts, work: Work, strategy: str = "") -> Invocation:
    """The playbook, over Ansible's own SSH connections; `strategy`: another of its strategies."""
    venv = ensure_ansible()
    told = {"build": work.build, "model": work.model, "top_k": work.top_k}
    options = [word for name, value in told.items() for word in ("-e", f"{name}={value}")]
    ours = {"ANSIBLE_CONFIG": str(PLAYBOOK / "ansible.cfg"), "ANSIBLE_HOME": str(run_folder() / "ansible")}
    if strategy:
        (plugins,) = venv.glob("lib/python3*/site-packages/ansible_mitogen/plugins/strategy")
        ours |= {"ANSIBLE_STRATEGY": strategy, "ANSIBLE_STRATEGY_PLUGINS": str(plugins)}
    line = [str(venv / "bin/python"), str(venv / "bin/ansible-playbook"), "-f", str(FORKS)]
    inventory = ["-i", str(ansible_inventory(hosts)), *options, "site.yml"]
    return Invocation([*line, *inventory], PLAYBOOK, {**os.environ, **ours})


def invoke_mitogen(hosts: Hosts, work: Work) -> Invocation:
    """The playbook with Mitogen, which keeps a Python on each board."""
    return invoke_ansible(hosts, work, "mitogen_linear")


TOOLS: Mapping[str, Callable[[Hosts, Work], Invocation]] = {
    OURS: invoke_pyinfra,
    "ansible": invoke_ansible,
    MITOGEN: invoke_mitogen,
}


def ensure_ansible() -> Path:
    """The environment of Ansible and Mitogen, by their pins; made first, which takes a network and half a minute.

    Raises BoardllamaError.
    """
    if sys.version_info < OLDEST_PYTHON:
        raise BoardllamaError(f"Ansible needs Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} here: say RIVALS=none")
    pins = PLAYBOOK / "requirements.txt"
    key = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()[:16]
    return ensure_folder(fleet_folder() / "ansible" / key, "fleet", install_ansible)


def install_ansible(new: Path) -> None:
    """Makes the environment in new/tree. Its programs are started by their Python: the folder gets another name."""
    python, pins = new / "tree" / "bin" / "python", PLAYBOOK / "requirements.txt"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(pins)]
    with Progress("fleet").during("Ansible's environment"):
        for command in ([sys.executable, "-m", "venv", str(new / "tree")], pip):
            if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
                raise BoardllamaError(f"Ansible cannot be installed from {pins.name}: look above, or say RIVALS=none")
