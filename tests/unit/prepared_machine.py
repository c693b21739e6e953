"""A machine for unit tests: all its files are there, and no QEMU was started."""

from pathlib import Path

import pytest

from deploy.vm.machine import Machine, machine_folder
from deploy.vm.ports import free_ports

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIexample boardllama-vm-dev"


def prepare_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The machine "dev" of a repository in that folder, with two free ports."""
    monkeypatch.setattr("deploy.vm.machine.machines_dir", lambda: folder / ".vm")
    home = machine_folder("dev")
    home.mkdir(parents=True)
    (home / "id_ed25519").touch(mode=0o600)
    (home / "id_ed25519.pub").write_text(PUBLIC_KEY)
    ssh_port, api_port = free_ports(2)
    made = Machine(home, ssh_port, api_port, folder / "vmlinuz", "root")
    made.write_ssh_config()
    made.save()
    return made
