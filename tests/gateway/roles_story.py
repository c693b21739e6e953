"""A board, two gateways and a monitor, from bare Debian to bare Debian again: `python -m tests.gateway.roles_story S`.

Real systemd, SSH and apt, with Debian's haproxy, keepalived, certbot, Prometheus, Alertmanager and node exporter, which
the deploy installs; pebble is the authority. llama-server is a stand-in. The gateways share an address, which moves.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests
import urllib3

from deploy.controller.progress import say_line
from deploy.debian.deb_store import DebStore, fetch_debs
from deploy.debian.staging import ensure_folder
from tests.build.builds import wanted
from tests.engines import engine
from tests.fleet.apart import run_folder
from tests.fleet.board_tree import deploys_cache, fleet_folder
from tests.fleet.boards import CONTROLLER, MOST_BOARDS, Board
from tests.fleet.inventories import pyinfra_inventory
from tests.fleet.run import BOARD_CPU
from tests.fleet.stand_ins import ensure_stand_ins
from tests.fleet.tools import invoke_deploy
from tests.fleet.under_load import BOARD_DATA, CLIENT_KEY, PORT
from tests.gateway.acme_story import DEADLINE, DIRECTORY, NAME
from tests.gateway.pebble import running_pebble
from tests.gateway.simulated import run_story, simulated_machines
from tests.unit.running_gateway import await_true
from tests.vm.own_machine import CONTENT, TREE

ROOM = "1500m"
BOARD = Board(1, models=False, room=ROOM)
FIRST, SECOND, MONITOR = (
    Board(MOST_BOARDS + number, name, models=False, machine="x86_64", room=ROOM)
    for number, name in ((9, "gateway-1"), (10, "gateway-2"), (11, "monitor"))
)
SHARED = "10.99.0.240"
# What the boards' tree has of them already, and what a deploy installs.
THERE = ("haproxy", "certbot")
NAMES = (*THERE, "keepalived", "prometheus", "prometheus-alertmanager", "prometheus-node-exporter")
# Debian's packages of Prometheus leave their account when they go.
LEFT = {"board-01": {"prometheus"}, "gateway-1": set[str](), "gateway-2": set[str](), "monitor": {"prometheus"}}
ACCOUNTS = tuple(f"./etc/{name}" for name in ("passwd", "shadow", "group", "gshadow"))
# These are compared by their names. Copies of them and of dpkg's list are as before the last change.
APART = {*ACCOUNTS, *(f"{path}-" for path in ACCOUNTS), "./var/lib/dpkg/status-old"}


def ensure_debs(suite: str) -> Path:
    """Debian's packages for these roles, with what they need: of the controller's own processor."""

    def fetch(new: Path) -> None:
        (new / "names.txt").write_text(" ".join(NAMES))
        fetch_debs(new, DebStore(suite, "amd64"), new / "names.txt")

    return ensure_folder(fleet_folder() / "debs" / f"{suite}-roles", "packages for gateways and monitors", fetch)


def cache_with_debs(suite: str) -> Path:
    """A deploy's cache with boards' programs, and what a bundle would have brought for machines without a network."""
    cache = run_folder() / "cache"
    (cache / "debs").mkdir(parents=True)
    (cache / "builds").symlink_to(deploys_cache() / "builds")
    for architecture in ("arm64", "amd64"):  # a simulated machine says that it is the former
        (cache / "debs" / f"{suite}-{architecture}").symlink_to(ensure_debs(suite))
    return cache


def system(machine: Board) -> set[str]:
    """A line for each file, folder and link, and one for the content of each file."""
    return {line for command in (TREE, CONTENT) for line in machine.run("sh", "-c", command).splitlines()}


def is_ours(line: str) -> bool:
    """Whether a line of `system` is of something else than what is compared apart."""
    return not APART & {*line.split()}


def accounts(machine: Board) -> set[str]:
    """The names of all users and groups."""
    return {line.split(":")[0] for line in machine.run("sh", "-c", f"cd /; cat {' '.join(ACCOUNTS)}").splitlines()}


def run(*words: str) -> str:
    """What pyinfra says of a run, which must succeed."""
    called = invoke_deploy(run_folder() / "inventory" / "fleet.py", {"model": "smoke"}, run_folder() / "cache")
    command = [*called.command[:-1], *words] if words else called.command
    done = subprocess.run(command, cwd=called.cwd, env=called.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def write_inventory(authority: Path) -> None:
    """Of all four."""
    (run_folder() / "clients").write_text(f"ann {CLIENT_KEY}\n")
    told: dict[str, Any] = {"gateway_clients": str(run_folder() / "clients"), "gateway_port": PORT}
    told |= {"gateway_host": "::", "gateway_address": SHARED, "gateway_names": f"{NAME} {SHARED}"}
    told |= {"gateway_tls": "acme", "gateway_acme_url": DIRECTORY, "gateway_acme_agree": True}
    told |= {"gateway_acme_ca": str(authority)}
    pyinfra_inventory(
        {BOARD.title: BOARD.host_data() | BOARD_DATA | {"node_exporter": True}},
        {one.title: one.host_data() | told for one in (FIRST, SECOND)},
        {MONITOR.title: MONITOR.host_data()},
    )


def tell(suite: str) -> None:
    """The story. Raises AssertionError, BoardllamaError."""
    urllib3.disable_warnings()  # of an address that the certificate does not have
    os.environ["BOARDLLAMA_KEYS"] = str(run_folder() / "keys")
    cache_with_debs(suite)
    folder = run_folder() / "pebble"
    folder.mkdir()
    with simulated_machines(suite, machines := [BOARD, FIRST, SECOND, MONITOR]):
        for one in machines:
            one.run("apt-get", "purge", "-qq", "-y", "--auto-remove", *THERE)
        before, there = {one: system(one) for one in machines}, {one: accounts(one) for one in machines}
        with running_pebble(folder, CONTROLLER, FIRST.address):
            write_inventory(folder / "authority.pem")
            say_line(f"roles: {run().rstrip().splitlines()[-1]}")
        tell_shared()
        said = run("deploy.stages.remove.uninstall", "models=True")
        assert said.rstrip().endswith("1 board, 2 gateways, 1 monitor: 4 removed"), said
        left = {one.title: found for one in machines if (found := sorted(filter(is_ours, system(one) ^ before[one])))}
        new = {one.title: accounts(one) - there[one] for one in machines}
        assert not left and new == LEFT, f"{left}\n{new}\n{said}"
        say_line(
            f"roles: all are as before, by {sum(map(len, before.values()))} lines, but for the account of Prometheus"
        )


def tell_shared() -> None:
    """The address is at the gateway that serves, and answers from it."""
    await_true(lambda: len(holders()) == 1 and answers(), DEADLINE)
    (first,) = holders()
    first.run("systemctl", "stop", "haproxy")
    await_true(lambda: holders() == [one for one in (FIRST, SECOND) if one is not first] and answers(), DEADLINE)
    versions = first.run("dpkg-query", "-W", "-f", "${Package} ${Version}, ", "haproxy", "keepalived")
    say_line(f"roles: the address moves with haproxy ({versions.rstrip(', ')})")
    first.run("systemctl", "start", "haproxy")


def holders() -> list[Board]:
    """Who has the shared address."""
    return [one for one in (FIRST, SECOND) if f"inet {SHARED}/" in one.run("ip", "addr")]


def answers() -> bool:
    """Whether a gateway answers at the shared address."""
    try:
        return requests.get(f"https://{SHARED}:{PORT}/health", verify=False, timeout=5).status_code == 200
    except requests.RequestException:
        return False


def prepare(suite: str) -> None:
    """What takes a network."""
    ensure_stand_ins(wanted(BOARD_CPU), deploys_cache())
    ensure_debs(suite)
    engine("pebble")


if __name__ == "__main__":
    sys.exit(run_story("tests.gateway.roles_story", lambda: prepare(sys.argv[1]), tell))
