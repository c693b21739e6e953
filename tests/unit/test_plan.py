"""The deploy's plan: prepared by pyinfra against boards that answer from a script, without touching any."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.build.artifact import Build, Manifest, Proof
from deploy.build.source import ArchiveSource
from deploy.cpu import find_cpu
from deploy.hosts.facts.combined import MARK
from deploy.paths import REPO

PYINFRA = Path(sys.executable).with_name("pyinfra")

PI_5 = (
    "machine aarch64\nfeatures fp asimd crc32 atomics fphp asimdhp asimdrdm lrcpc asimddp\npart 0x41/0xd0b\nsystemd yes"
)
PI_4 = "machine aarch64\nfeatures fp asimd crc32\npart 0x41/0xd08\nsystemd yes"
LAPTOP = "machine x86_64"

INVENTORY = """
builders = [{builder!r}]
targets = {targets!r}
"""
ALL_FEATURES = PI_5.replace("asimddp", "asimddp i8mm")
KINDS = ("armv8.6-i8mm", "cortex-a53", "cortex-a72", "cortex-a76", "generic", "neoverse-n1")
# A source that nobody can fetch.
NOWHERE = ArchiveSource(kind="archive", url="file:///nowhere/none.tar.gz", sha256="ab" * 32)
NOWHERE_PINS = [
    option
    for name, value in NOWHERE.model_dump().items()
    for option in ("--data", f"llama_source={value}" if name == "kind" else f"llama_archive_{name}={value}")
    if value
]


def a_board(board: str, name: str = "board", **data: Any) -> tuple[str, dict[str, Any]]:
    """A target that answers as `board`."""
    return f"@fake/{name}", {
        "model": "smoke",
        "fake_delay": 0,
        "fake_responses": {"echo machine": [f"{MARK}board", *board.splitlines()]},
        **data,
    }


def run(folder: Path, board: str, *options: str, builder: str = "@fake/builder") -> subprocess.CompletedProcess[str]:
    """Runs the real deploy.py for one board with a cache that is empty: every build is wanted, none is there."""
    return deploy(folder, [a_board(board)], *options, builder=builder)


def deploy(
    folder: Path,
    targets: list[tuple[str, dict[str, Any]]],
    *options: str,
    builder: str = "@local",
    inventory: str = INVENTORY,
    story: str = "deploy.py",
) -> subprocess.CompletedProcess[str]:
    """Runs the real deploy.py, or another story."""
    path = folder / "fake_boards.py"
    path.write_text(inventory.format(targets=targets, builder=builder))
    environment = os.environ | {"BOARDLLAMA_CACHE": str(folder / "cache"), "PYINFRA_FAKE_DELAY": "0"}
    command = [str(PYINFRA), str(path), story, "--json", *options]
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


@pytest.fixture(scope="module")
def first_plan(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The first dry run for a board that can be served, whose kernel has no memory cgroup."""
    return plan(tmp_path_factory.mktemp("first"), f"{PI_5}\ncgroup cpuset cpu io pids unified")


def test_the_stages_come_in_order_and_the_build_is_for_the_board(
    first_plan: subprocess.CompletedProcess[str],
) -> None:
    names = list(changes(first_plan))
    stages = list(dict.fromkeys(name.split(" | ")[0] for name in names))
    assert stages == ["Build", "Install llama.cpp", "Model", "Configure", "Activate", "Verify"]
    assert names[0] == "Build | Compile llama.cpp for cortex-a76"


def test_a_first_dry_run_refuses_no_board_for_what_it_would_build_itself(
    first_plan: subprocess.CompletedProcess[str],
) -> None:
    assert "refused" not in first_plan.stderr
    assert "1 board: 1 would change" in first_plan.stderr


def test_what_a_board_falls_short_of_is_said_once_and_refuses_nothing(
    first_plan: subprocess.CompletedProcess[str],
) -> None:
    assert first_plan.stderr.count("no memory cgroup") == 1
    assert "Build | Compile llama.cpp for cortex-a76" in changes(first_plan)


def test_the_plan_follows_the_board(tmp_path: Path) -> None:
    done = plan(tmp_path, PI_4)
    assert next(iter(changes(done))) == "Build | Compile llama.cpp for cortex-a72"
    assert "memory cgroup" not in done.stderr


def test_each_board_gets_the_model_that_its_memory_is_for(tmp_path: Path) -> None:
    """One that is named is nobody's choice; without a word on memory there is none to make."""
    boards = {"small": (1_900_000, "auto"), "large": (8_000_000, "auto"), "named": (8_000_000, "qwen3.5-2b")}
    targets = [a_board(f"{PI_5}\nmemory {size}", name, model=model) for name, (size, model) in boards.items()]
    targets.append(a_board(PI_5, "unknown", model="auto"))
    said = deploy(tmp_path, targets, "--dry", builder="@fake/builder").stderr
    large, small = sorted(line for line in said.splitlines() if "model auto: " in line)  # boards are asked at once
    assert "@fake/small" in small and "model auto: qwen3.5-0.8b, the best in the catalogue for 1945 MB" in small
    assert "@fake/large" in large and "model auto: qwen3.5-4b" in large
    assert "would be refused: model is auto: this board's memory is not known; name a model" in said


# By name: what the board answers, its settings, and why it is refused.
REFUSED: dict[str, tuple[str, dict[str, str], str]] = {
    "old": (PI_4, {"cpu": "cortex-a76"}, "cortex-a76 needs asimddp"),
    "laptop": (LAPTOP, {}, "this machine is x86_64"),
    "32-bit": (f"{PI_4}\nuserland armhf", {}, "the system of this board is 32-bit (armhf)"),
    "python": (f"{PI_4}\nPython 3.9.2", {}, "this board has Python 3.9.2"),
    "forgets": (f"{PI_4}\nmount / tmpfs rw", {}, "this board forgets all changes at its next start"),
}


@pytest.fixture(scope="module")
def refusing_plan(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A dry run for all of them."""
    boards = [a_board(board, name, **data) for name, (board, data, _) in REFUSED.items()]
    return deploy(tmp_path_factory.mktemp("refused"), boards, "--dry", builder="@fake/builder")


@pytest.mark.parametrize("name", REFUSED.keys())
def test_a_board_that_cannot_run_the_build_is_refused_before_anything_else(
    name: str, refusing_plan: subprocess.CompletedProcess[str]
) -> None:
    planned = changes(refusing_plan)
    verdict = f"would be refused: {REFUSED[name][2]}"
    assert [line for line in refusing_plan.stderr.splitlines() if f"@fake/{name} " in line and verdict in line]
    assert not any(operation.startswith("Build") for operation in planned), "nothing is compiled for it"
    assert f"@fake/{name}" in planned["Install llama.cpp | Check that this target can take it"]


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
    done = run(tmp_path, PI_5, "-y", *NOWHERE_PINS, builder="@local")
    results = json.loads(done.stdout)["results"]["operations"]
    assert done.returncode == 1
    assert "cortex-a76: fetching the source" in done.stderr
    assert "the build cortex-a76-" in done.stderr
    assert [operation["name"] for operation in results if "@fake/board" in operation["success"]] == []
    assert "Traceback" not in done.stderr


def test_six_kinds_of_boards_are_built_before_any_is_brought_and_fail_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first run, whatever the number of kinds. Of this fake fleet no board can be written to."""
    monkeypatch.setenv("BOARDLLAMA_CACHE", str(tmp_path / "cache"))
    for cpu in map(find_cpu, KINDS):
        if cpu.name != "cortex-a72":
            prepare(Build(NOWHERE, cpu))
    boards = [a_board(ALL_FEATURES, cpu, cpu=cpu) for cpu in KINDS]
    done = deploy(tmp_path, boards, "-y", *NOWHERE_PINS)
    names = [operation["name"] for operation in json.loads(done.stdout)["results"]["operations"]]
    assert [name for name in names if name.startswith("Build")] == [f"Build | Compile llama.cpp for {', '.join(KINDS)}"]
    assert "cortex-a72: fetching the source" in done.stderr
    lines = done.stderr.partition("--> Results:")[0].splitlines()
    assert [line for line in lines if "is not there" in line] == [
        line for line in lines if line.lstrip().startswith("[@fake/cortex-a72]") and "its build failed" in line
    ]
    assert sum("FakeConnector cannot" in line for line in lines) == len(KINDS) - 1, "the others go on"


def prepare(build: Build) -> None:
    """Has the build in the cache, as if an earlier run had made it."""
    build.artifact_folder.mkdir(parents=True)
    proof = Proof(glibc="2.28", instructions={}, version="", ran_on=build.cpu.qemu)
    manifest = Manifest(name=build.name, key=build.key, inputs={}, build_info="", files={}, proof=proof)
    (build.artifact_folder / "manifest.json").write_text(manifest.model_dump_json())


def test_a_speed_that_was_never_tuned_is_said(tmp_path: Path) -> None:
    said = plan(tmp_path, PI_5, "--data", "min_tokens_per_second=tuned").stderr
    assert said.count("min_tokens_per_second is tuned, and this model never was: any speed passes") == 1


def test_the_system_is_touched_where_a_setting_asks_for_it_alone(
    first_plan: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    asked = changes(plan(tmp_path, PI_5, "--data", "tune_system=True"))
    assert "System | Have the system's settings set" in asked
    assert not [name for name in changes(first_plan) if name.startswith("System")]
