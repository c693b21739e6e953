"""The targets of an inventory as testinfra hosts: pyinfra itself is asked what the inventory says."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import testinfra
from testinfra.host import Host

from deploy.controller.product import read_targets
from deploy.errors import BoardllamaError
from deploy.vm.ports import free_ports, is_free

SSH_OPTIONS = {
    "ssh_hostname": "HostName",
    "ssh_port": "Port",
    "ssh_user": "User",
    "ssh_key": "IdentityFile",
    "ssh_known_hosts_file": "UserKnownHostsFile",
}


def targets_told(config: pytest.Config) -> dict[str, dict[str, Any]]:
    """Host data by name of the targets of --inventory, or of the one that --host names. Raises UsageError."""
    inventory, host = config.getoption("--inventory"), config.getoption("--host")
    found = targets(inventory)
    if host and host not in found:
        names = ", ".join(sorted(found))
        raise pytest.UsageError(f"HOST is {host}: {inventory} has {names}; take one of them, or another INVENTORY=")
    return {host: found[host]} if host else found


@cache
def targets(inventory: Path) -> dict[str, dict[str, Any]]:
    """Host data of every target, by name."""
    if not inventory.is_file():
        raise pytest.UsageError(f"{inventory} is no inventory file: see inventory/")
    try:
        return {name: data for name, _groups, data in read_targets(inventory)}
    except BoardllamaError as error:
        raise pytest.UsageError(f"{inventory} is not taken by {error}") from None


def connect(name: str, data: dict[str, Any], folder: Path) -> Host:
    """A testinfra host with the connection that pyinfra would use. `folder`, a short path, takes its ssh_config."""
    sudo = bool(data.get("_sudo"))
    if name == "@local":
        return testinfra.get_host("local://", sudo=sudo)
    lines = [f"Host {name}", "  BatchMode yes", "  StrictHostKeyChecking accept-new", "  LogLevel ERROR"]
    lines += [f"  {option} {data[key]}" for key, option in SSH_OPTIONS.items() if data.get(key)]
    # One connection for all commands: a key exchange costs more than most commands of the suite.
    lines += ["  ControlMaster auto", f"  ControlPath {folder}/%C", "  ControlPersist 60"]
    config = folder / "ssh_config"
    config.write_text("\n".join(lines) + "\n")
    return testinfra.get_host(f"ssh://{name}", ssh_config=str(config), sudo=sudo)


@contextmanager
def tunnel(name: str, folder: Path, url: str) -> Iterator[str]:
    """The URL under which this computer reaches what listens at `url` on a target that `connect` connected."""
    if name == "@local":
        yield url
        return
    (port,) = free_ports(1)
    words = [*"ssh -N -o ControlPath=none -o ExitOnForwardFailure=yes -F".split(), str(folder / "ssh_config")]
    ssh = subprocess.Popen([*words, "-L", f"127.0.0.1:{port}:{urlsplit(url).netloc}", name], stdin=subprocess.DEVNULL)
    try:
        while is_free(port):
            assert ssh.poll() is None, f"ssh to {name} ended with status {ssh.returncode}"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        ssh.terminate()
        ssh.wait()
