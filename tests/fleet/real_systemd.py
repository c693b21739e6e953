"""What only a board with real systemd and apt shows: `python -m tests.fleet.real_systemd`, as root, within a minute.

Three boards get a model from one another, and two of them have no aria2: one has a source of packages, and the other
reaches nothing but the controller. All get an exporter. Then a board's timer says when it looks at its channel. Prints
it all as JSON.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from deploy.controller.files import folder_lock
from deploy.controller.templates import render_template
from deploy.debian.deb_store import DebStore, fetch_debs
from deploy.debian.staging import ensure_folder
from deploy.debian.tools import SUITE
from deploy.fleet.channel.subscribe import SERVICE, TIMER
from deploy.paths import REPO
from tests.build.builds import wanted
from tests.fleet.apart import is_inside, run_folder, run_inside
from tests.fleet.board_tree import deploys_cache, ensure_board_tree, fleet_folder
from tests.fleet.boards import Board, Fleet
from tests.fleet.inventories import pyinfra_inventory
from tests.fleet.run import BOARD_CPU
from tests.fleet.stand_ins import ensure_stand_ins
from tests.unit.test_plan import PYINFRA

HAS_IT, HAS_SOURCE, HAS_NOTHING = Board(1), Board(2), Board(3)
NAMES = ("aria2", "prometheus-node-exporter")
MINUTES, LOOKS = 30, 8


def ensure_debs() -> Path:
    """Debian's packages with what they need, for boards, which are of the controller's own processor."""

    def fetch(new: Path) -> None:
        (new / "names.txt").write_text(" ".join(NAMES))
        fetch_debs(new, DebStore(SUITE, "amd64"), new / "names.txt")

    return ensure_folder(fleet_folder() / "debs" / f"{SUITE}-{'-'.join(NAMES)}", "packages for the fleet", fetch)


def cache_with_debs() -> Path:
    """A deploy's cache that has boards' programs, and what a bundle would have brought for them."""
    cache = run_folder() / "cache"
    (cache / "debs").mkdir(parents=True)
    (cache / "builds").symlink_to(deploys_cache() / "builds")
    (cache / "debs" / f"{SUITE}-arm64").symlink_to(ensure_debs())
    return cache


def on_board(board: Board, command: str) -> str:
    """What a command says there. Raises CalledProcessError."""
    first = (board.cgroup / "init.scope" / "cgroup.procs").read_text().split()[0]
    words = ["nsenter", "--target", first, "--all", "sh", "-c", command]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def packages_of(board: Board) -> set[str]:
    return set(on_board(board, "dpkg-query -W -f '${Package}\\n'").split())


def share_model(boards: list[Board]) -> dict[str, object]:
    """A first deploy by peers. What it said, which packages boards have then that they had not before, and what their
    exporters tell.
    """
    shutil.copytree(ensure_debs(), HAS_SOURCE.root / "srv/debs")
    for board in (HAS_SOURCE, HAS_NOTHING):
        on_board(board, "apt-get purge -qq -y --auto-remove aria2 >/dev/null")
    on_board(HAS_SOURCE, "echo 'deb [trusted=yes] file:/srv/debs ./' >/etc/apt/sources.list")
    before = {board.title: packages_of(board) for board in boards}
    own = {"model": "smoke", "distribution": "peers", "node_exporter": True}
    told = {board.title: {**board.host_data(), **own} for board in boards}
    command = [str(PYINFRA), "-y", str(pyinfra_inventory(told)), "deploy.py"]
    environment = os.environ | {"BOARDLLAMA_CACHE": str(cache_with_debs())}
    done = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, check=False)
    more = {board.title: sorted(packages_of(board) - before[board.title]) for board in boards}
    figures = {board.title: on_board(board, "curl -s http://127.0.0.1:9100/metrics") for board in boards}
    return {"status": done.returncode, "said": done.stdout + done.stderr, "more": more, "figures": figures}


def looks_of_timer(board: Board) -> dict[str, list[float]]:
    """When a board looks: minutes until its first look after a boot, and from a look that found nothing to the next."""
    text = render_template(TIMER.name, minutes=MINUTES)
    first = minutes_until_look(board, text, 1)
    # A minute after boot it has its say, once.
    return {"first": first, "next": minutes_until_look(board, text.replace("OnBootSec=1min\n", ""), LOOKS)}


def minutes_until_look(board: Board, timer: str, count: int) -> list[float]:
    """So many times, with a service that has ended."""
    (board.root / "etc/systemd/system" / TIMER.name).write_text(timer)
    service = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/true\n"
    (board.root / "etc/systemd/system" / SERVICE.name).write_text(service)
    on_board(board, f"systemctl daemon-reload; systemctl restart {TIMER.name}")
    looks = []
    for _ in range(count):
        on_board(board, f"systemctl start {SERVICE.name}")
        (told,) = json.loads(on_board(board, f"systemctl list-timers --output=json {TIMER.name}"))
        looks.append((told["next"] / 1e6 - time.time()) / 60)
    return looks


def main() -> int:
    """Raises BoardllamaError."""
    if not is_inside():
        fleet_folder().mkdir(parents=True, exist_ok=True)
        with folder_lock(fleet_folder(), "fleet"):
            ensure_board_tree()
            ensure_stand_ins(wanted(BOARD_CPU), deploys_cache())
            ensure_debs()
            return run_inside(__spec__.name, [])
    fleet = Fleet(ensure_board_tree())
    try:
        fleet.start(boards := [HAS_IT, HAS_SOURCE, HAS_NOTHING])
        print(json.dumps({"shared": share_model(boards), "looks": looks_of_timer(HAS_IT)}))
    finally:
        fleet.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
