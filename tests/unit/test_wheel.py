"""An installed boardllama: the wheel has what a clone has, and works in a folder that is nobody's clone."""

import ast
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy.debian.tar_files import files_below
from deploy.paths import REPO
from tests.unit.boards import HASTE, closed

PRODUCT = "deploy/product"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as pip would fill it: modules, and the program `boardllama`."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(build, cwd=REPO, check=True, capture_output=True)
    (wheel,) = (folder / "dist").iterdir()
    zipfile.ZipFile(wheel).extractall(folder / "lib")
    (folder / "boardllama").write_text("from deploy.command.__main__ import main\nmain()\n")
    return folder


def tracked(*folders: str) -> set[str]:
    """The files of these folders that belong to the repository, those that are new too."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders]
    said = subprocess.run(listing, cwd=REPO, capture_output=True, text=True, check=True).stdout
    return {name for name in said.splitlines() if (REPO / name).exists()}


def test_the_wheel_has_every_file_of_the_product(installed: Path) -> None:
    names = {name for path, name in files_below(installed / "lib") if path.is_file()}
    assert not any((REPO / name).is_symlink() for name in tracked("deploy", "templates")), "a wheel holds no links"
    there = {name.removesuffix(".symlink") for name in tracked("deploy")}
    assert there <= names
    assert {f"{PRODUCT}/{name}" for name in tracked("templates", "inventory", "tests/board")} <= names
    assert "deploy/product/story/deploy.py" in names


def test_the_suite_that_judges_boards_has_all_that_it_imports(installed: Path) -> None:
    product = installed / "lib" / PRODUCT
    for path in product.rglob("tests/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests."):
                assert (product / str(node.module).replace(".", "/")).with_suffix(".py").exists(), path


def boardllama(installed: Path, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """The installed program, in a folder of the user's."""
    told = os.environ | {"PYTHONPATH": str(installed / "lib"), "BOARDLLAMA_CACHE": str(folder / "cache")}
    line = [sys.executable, str(installed / "boardllama"), *words]
    return subprocess.run(line, cwd=folder, env=told, capture_output=True, text=True, timeout=120, check=False)


def test_a_fleet_of_ones_own_is_deployed_from_its_folder(installed: Path, tmp_path: Path) -> None:
    """A folder in which `deploy` and config.py mean something else, and group data say what differs."""
    (tmp_path / "deploy").mkdir()
    for name in ("deploy.py", "deploy/__init__.py", "config.py"):
        (tmp_path / name).write_text(f"raise SystemExit('{name} of the user')\n")
    (tmp_path / "boards.py").write_text(
        f"targets = [('kitchen', {{'ssh_hostname': '127.0.0.1', 'ssh_port': {closed()}}})]\n"
    )
    (tmp_path / "group_data").mkdir()
    (tmp_path / "group_data/all.py").write_text("thread = 2\n")
    product = installed / "lib" / PRODUCT
    if HASTE not in (told := (product / "config.py").read_text()):
        (product / "config.py").write_text(told + HASTE)
    done = boardllama(installed, tmp_path, "deploy", "--json")
    assert done.returncode == 1, done.stderr
    (row,) = json.loads(done.stdout)["hosts"]
    assert (row["host"], row["verdict"]) == ("kitchen", "unreachable"), done.stderr
    (tmp_path / "boards.py").write_text("targets = [(1\n")
    done = boardllama(installed, tmp_path, "deploy", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["good"] is False
    assert "'(' was never closed" in json.loads(done.stdout)["error"], done.stdout
    (tmp_path / "boards.py").write_text("channels = ['@kind/raspberry_pi_5']\n")
    said = boardllama(installed, tmp_path, "channel", "--dest", str(tmp_path / "www")).stderr
    assert "unknown setting thread: did you mean threads?" in said, "group data are beside the inventory"


def test_images_and_models_are_known_outside_of_a_clone(installed: Path, tmp_path: Path) -> None:
    listed = json.loads(boardllama(installed, tmp_path, "models", "--json").stdout)
    assert "smollm2-135m" in [row["model"] for row in listed]
    said = boardllama(installed, tmp_path, "image", "raspbery_pi_5").stderr
    assert "did you mean 'raspberry_pi_5'?" in said
    said = boardllama(installed, tmp_path, "image", "qemu", "--model", "nosuch").stderr
    assert "a name that `boardllama models` lists" in said, "there is no Makefile here"
    assert boardllama(installed, tmp_path, "vm", "status").returncode == 3, "it is not up"
    assert not (tmp_path / ".vm").exists()
