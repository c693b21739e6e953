"""The same hosts, told to each tool in its own way."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.fleet.apart import run_folder

Hosts = Mapping[str, Mapping[str, Any]]


def pyinfra_inventory(hosts: Hosts, gateways: Hosts | None = None, monitors: Hosts | None = None) -> Path:
    """An inventory file with these hosts as targets, gateways and monitors."""
    folder = run_folder() / "inventory"
    folder.mkdir(exist_ok=True)
    groups = {"targets": hosts, "gateways": gateways or {}, "monitors": monitors or {}}
    told = {name: [(host, dict(data)) for host, data in members.items()] for name, members in groups.items()}
    lines = [f"{name} = {members!r}\n" for name, members in told.items() if members]
    (folder / "fleet.py").write_text("".join(["builders = ['@local']\n", *lines]))
    return folder / "fleet.py"


def ansible_inventory(hosts: Hosts) -> Path:
    """An inventory file of Ansible with the same hosts."""
    told = {name: ansible_data(data) for name, data in hosts.items()}
    path = run_folder() / "hosts.json"
    path.write_text(json.dumps({"targets": {"hosts": told}}, indent=1))
    return path


def ansible_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """pyinfra's host data in Ansible's words."""
    return {
        "ansible_host": data["ssh_hostname"],
        "ansible_port": data.get("ssh_port", 22),
        "ansible_user": data["ssh_user"],
        "ansible_ssh_private_key_file": data["ssh_key"],
        "ansible_python_interpreter": "/usr/bin/python3",
    }
