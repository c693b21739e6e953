"""A run over boards and a monitor, prepared by pyinfra: who waits for whom, and what a limit leaves alone."""

import json
import subprocess
import sys
from pathlib import Path, PurePath

import pytest

from deploy.fleet.monitor.monitor_places import PROGRAMS
from deploy.fleet.monitor.story import page_files
from tests.monitor.monitored import told
from tests.unit.test_plan import INVENTORY, PI_5, a_board, changes, deploy

MONITORED = INVENTORY + 'monitors = ["@fake/monitor"]\n'
BOARDS = [a_board(PI_5, "kitchen"), a_board(PI_5, "hall", server_host="0.0.0.0", api_key="generate")]


def test_a_monitor_begins_when_the_boards_are_done(tmp_path: Path) -> None:
    names = list(changes(deploy(tmp_path, BOARDS, "--dry", builder="@fake/builder", inventory=MONITORED)))
    middle = names.index("Wait for the boards")
    assert all(name.startswith("Monitor | ") for name in names[middle + 1 :]) and names[middle + 1 :]
    assert not any(name.startswith("Monitor | ") for name in names[:middle])


def test_an_inventory_of_boards_alone_waits_for_nobody(tmp_path: Path) -> None:
    assert "Wait for the boards" not in changes(deploy(tmp_path, BOARDS, "--dry", builder="@fake/builder"))


def test_a_monitor_is_told_of_boards_that_the_run_leaves_out(tmp_path: Path) -> None:
    done = deploy(
        tmp_path, BOARDS, "--dry", "--diff", "--limit", "@fake/monitor", builder="@fake/builder", inventory=MONITORED
    )
    assert "llama @fake/hall" in done.stderr, done.stderr
    assert "the servers of @fake/kitchen listen on their loopback alone" in done.stderr


def test_a_monitor_asks_for_the_figures_of_each_model_of_a_board(tmp_path: Path) -> None:
    models = [{"model": "smoke", "alias": "chat"}, {"model": "smoke", "alias": "vectors:1"}]
    board = a_board(PI_5, "hall", server_host="0.0.0.0", allow_unauthenticated=True, model=None, models=models)
    only = ("--dry", "--diff", "--limit", "@fake/monitor")
    done = deploy(tmp_path, [board], *only, builder="@fake/builder", inventory=MONITORED)
    for name in ("chat", "vectors:1"):
        assert f'"__param_model": "{name}"' in done.stderr and f'"model": "{name}"' in done.stderr, done.stderr


@pytest.mark.parametrize("limit", ["@fake/kitchen", "@fake/monitor"])
def test_a_limit_touches_nobody_else(tmp_path: Path, limit: str) -> None:
    done = deploy(tmp_path, BOARDS, "--dry", "--limit", limit, builder="@fake/builder", inventory=MONITORED)
    changing = {host for hosts in changes(done).values() for host in hosts}
    assert changing == {limit}, json.dumps(sorted(changing))


@pytest.mark.parametrize("wanted", [True, False])
def test_a_board_gets_an_exporter_where_it_is_told_to(tmp_path: Path, wanted: bool) -> None:
    """For the monitors of the inventory alone, also where the run leaves them out."""
    board = a_board(PI_5, "kitchen", node_exporter=wanted)
    watched = INVENTORY + 'monitors = ["@fake/192.168.7.2"]\n'
    done = deploy(
        tmp_path,
        [board],
        "--dry",
        "--diff",
        "--limit",
        "targets",
        "--limit",
        "builders",
        builder="@fake/builder",
        inventory=watched,
    )
    assert ("System | Have the exporter run" in changes(done)) == wanted
    assert ("+IPAddressAllow=localhost 192.168.7.2\n" in done.stderr) == wanted


CLIENTS = """
from pyinfra import host, logger
from deploy.hosts.target import settings_of
if "targets" in host.groups:
    logger.info(f"{host.name} lets in: {' '.join(settings_of(host).allowed_clients)}")
"""


@pytest.mark.parametrize(
    ("told", "lets_in"),
    [("", "any"), ("192.168.1.0/24", "localhost 192.168.1.0/24 192.168.7.1 192.168.7.2")],
)
def test_a_board_lets_the_inventory_s_gateways_and_monitors_in(tmp_path: Path, told: str, lets_in: str) -> None:
    board = a_board(PI_5, "kitchen", server_host="0.0.0.0", api_key="generate", server_clients=told)
    askers = 'monitors = ["@fake/192.168.7.2"]\ngateways = [("@fake/gate", {{"ssh_hostname": "192.168.7.1"}})]\n'
    (tmp_path / "clients.py").write_text(CLIENTS)
    done = deploy(
        tmp_path, [board], "--dry", builder="@fake/b", inventory=INVENTORY + askers, story=str(tmp_path / "clients.py")
    )
    assert f"@fake/kitchen lets in: {lets_in}\n" in done.stderr, done.stderr


def test_a_monitor_gets_all_that_the_program_of_its_page_imports(tmp_path: Path) -> None:
    for file in page_files(told()):
        if PurePath(file.dest).is_relative_to(PROGRAMS):
            place = tmp_path / PurePath(file.dest).relative_to(PROGRAMS)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(file.content)
    words = [sys.executable, "-sS", "-c", "import onboard.monitor.__main__"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
