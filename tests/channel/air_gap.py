"""A site without a network: `sudo .venv/bin/python -m tests.channel.air_gap`, some minutes.

A bundle is made with a network. Then, in a network of its own that leads to one simulated board and nowhere else, a
controller with an empty cache unpacks the bundle and deploys to the board. Programs are stand-ins, as in `make fleet`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.controller.files import folder_lock
from deploy.errors import BoardllamaError
from deploy.fleet.bundle.bundle_file import read_bundle_list
from deploy.paths import REPO, cache_dir
from tests.build.builds import wanted
from tests.fleet.apart import is_inside, run_folder, run_inside
from tests.fleet.board_tree import deploys_cache, ensure_board_tree, fleet_folder
from tests.fleet.boards import Board, Fleet
from tests.fleet.inventories import pyinfra_inventory
from tests.fleet.run import BOARD_CPU
from tests.fleet.stand_ins import ensure_stand_ins
from tests.unit.test_channel import run_kinds
from tests.unit.test_plan import PYINFRA

# Where the bundle lies, for the process inside.
BUNDLE = "BOARDLLAMA_SITE_BUNDLE"


def make_bundle() -> Path:
    """The bundle, made outside. Raises AssertionError."""
    ensure_stand_ins(wanted(BOARD_CPU), deploys_cache())
    if not (deploys_cache() / "debs").exists():
        (deploys_cache() / "debs").symlink_to(cache_dir() / "debs")  # Debian's packages are what they are everywhere
    folder = fleet_folder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOARDLLAMA_CACHE", str(deploys_cache()))
        done = run_kinds(folder, channel_bundle=folder / "site.bundle")
    assert done.returncode == 0, done.stderr
    return folder / "site.bundle"


def deploy_apart(bundle: Path) -> None:
    """Unpacks the bundle into an empty cache, and deploys to a board. Raises AssertionError."""
    fleet = Fleet(ensure_board_tree())
    try:
        fleet.start([board := Board(1)])
        run("ip", "route")
        run(sys.executable, "-m", "deploy.fleet.bundle", str(bundle))
        inventory = pyinfra_inventory({board.title: {**board.host_data(), "model": "smoke"}})
        for _ in range(2):
            run(str(PYINFRA), "-y", str(inventory), "deploy.py")
    finally:
        fleet.stop()


def run(*words: str) -> None:
    """Runs a command with a cache that is empty at first. Shows its last lines. Raises AssertionError."""
    told = os.environ | {"BOARDLLAMA_CACHE": str(run_folder() / "cache")}
    done = subprocess.run(words, cwd=REPO, env=told, capture_output=True, text=True, check=False)
    print(f"$ {' '.join(words[1:])}", *(done.stdout + done.stderr).splitlines()[-8:], sep="\n", flush=True)
    assert done.returncode == 0


def main() -> int:
    """Raises BoardllamaError, AssertionError."""
    if is_inside():
        deploy_apart(Path(os.environ[BUNDLE]))
        return 0
    fleet_folder().mkdir(parents=True, exist_ok=True)
    with folder_lock(fleet_folder(), "fleet"):
        ensure_board_tree()
        bundle = make_bundle()
        print(f"{bundle.stat().st_size // 1_000_000} MB, {len(read_bundle_list(bundle).files)} files", flush=True)
        os.environ[BUNDLE] = str(bundle)
        return run_inside(__spec__.name, [])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BoardllamaError as error:
        sys.exit(f"air gap: {error}")
