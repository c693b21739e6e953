"""The deploy's plan: prepared by pyinfra against boards that answer from a script, without touching any."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.paths import REPO

PYINFRA = Path(sys.executable).with_name("pyinfra")
GROUP_DATA = REPO / "inventory" / "group_data"

PI_5 = (
    "machine aarch64\nfeatures fp asimd crc32 atomics fphp asimdhp asimdrdm lrcpc asimddp\npart 0x41/0xd0b\nsystemd yes"
)
PI_4 = "machine aarch64\nfeatures fp asimd crc32\npart 0x41/0xd08\nsystemd yes"
LAPTOP = "machine x86_64"

INVENTORY = """
builders = [{builder!r}]
targets = [
    ("@fake/board", {{"model": "smoke", "fake_delay": 0, "fake_responses": {{"echo machine": {board!r}}}}}),
]
"""


def run(folder: Path, board: str, *options: str, builder: str = "@fake/builder") -> subprocess.CompletedProcess[str]:
    """Runs the real deploy.py with a cache that is empty: every build is wanted, none is there."""
    inventory = folder / "fake_boards.py"
    inventory.write_text(INVENTORY.format(board=board.splitlines(), builder=builder))
    environment = os.environ | {"BOARDLLAMA_CACHE": str(folder / "cache"), "PYINFRA_FAKE_DELAY": "0"}
    command = [str(PYINFRA), str(inventory), "deploy.py", "--json", "--group-data", str(GROUP_DATA), *options]
    return subprocess.run(
        command, cwd=REPO, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def plan(folder: Path, board: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Prepares; nothing is executed."""
    return run(folder, board, "--dry", *options)


def changes(done: subprocess.CompletedProcess[str]) -> dict[str, list[str]]:
    """Operation → the hosts that it would change, in the order of the plan."""
    assert done.returncode == 0, done.stderr
    return {operation["name"]: operation["hosts_with_change"] for operation in json.loads(done.stdout)["plan"]}


def test_the_stages_come_in_order_and_the_build_is_for_the_board(tmp_path: Path) -> None:
    names = list(changes(plan(tmp_path, PI_5)))
    stages = list(dict.fromkeys(name.split(" | ")[0] for name in names))
    assert stages == ["Build", "Install llama.cpp", "Model", "Configure", "Activate", "Verify"]
    assert names[0] == "Build | Compile llama.cpp for cortex-a76"


def test_the_plan_follows_the_board(tmp_path: Path) -> None:
    assert next(iter(changes(plan(tmp_path, PI_4)))) == "Build | Compile llama.cpp for cortex-a72"


@pytest.mark.parametrize(
    ("board", "options", "said"),
    [
        (PI_4, ["--data", "cpu=cortex-a76"], "cortex-a76 needs asimddp"),
        (LAPTOP, [], "this machine is x86_64"),
    ],
)
def test_a_board_that_cannot_run_the_build_is_refused_before_anything_else(
    tmp_path: Path, board: str, options: list[str], said: str
) -> None:
    done = plan(tmp_path, board, *options)
    planned = changes(done)
    assert said in done.stderr
    assert not any(name.startswith("Build") for name in planned), "nothing is compiled for it"
    assert planned["Install llama.cpp | Check that this target can take it"] == ["@fake/board"]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("server_port=99999", "server_port is 99999: must be a whole number from 1 to 65535"),
        ("sever_port=80", "unknown setting sever_port: did you mean server_port?"),
        ("cpu=cortex-a67", "unknown cpu 'cortex-a67'"),
        ("server_host=0.0.0.0", "beyond loopback an API key is needed"),
    ],
)
def test_a_bad_setting_ends_the_run_in_one_line(tmp_path: Path, option: str, said: str) -> None:
    done = plan(tmp_path, PI_5, "--data", option)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failed_build_stops_the_targets_that_need_it(tmp_path: Path) -> None:
    """The recipe really runs, and cannot fetch its source; the board is not touched after that."""
    pins = {"source": "archive", "archive_url": f"file://{tmp_path}/none.tar.gz", "archive_sha256": "ab" * 32}
    data = [option for key, value in pins.items() for option in ("--data", f"llama_{key}={value}")]
    done = run(tmp_path, PI_5, "-y", *data, builder="@local")
    results = json.loads(done.stdout)["results"]["operations"]
    assert done.returncode == 1
    assert "cortex-a76: fetching the source" in done.stderr
    assert "the build cortex-a76-" in done.stderr
    assert [operation["name"] for operation in results if "@fake/board" in operation["success"]] == []
    assert "Traceback" not in done.stderr
