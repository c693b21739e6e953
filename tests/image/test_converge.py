"""`pyinfra inventory/image.py deploy.py`: a root tree becomes what a board over SSH becomes."""

import json
import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.controller import openpgp
from deploy.image.tree.channel import Channel
from deploy.image.tree.sandbox import Sandbox
from deploy.onboard.channel.subscription import APT, KEY, LIST, TOLD
from deploy.onboard.places import PLACES
from deploy.onboard.service import OLLAMA
from deploy.paths import REPO, cache_dir
from deploy.stages.key import key_command, random_key
from tests.image.runs import PYINFRA, deploy, environment, mounts
from tests.unit.test_settings import told

KEY_UNIT = OLLAMA.public_key_unit(PLACES)

USER = f"bl-{os.getpid()}"
GENERATE = ("--data", "api_key=generate")
SEVERAL: dict[str, Any] = {
    "models": ["smoke", {"model": "smoke", "alias": "second", "start": "on_demand"}],
    "ollama_api": True,
}


def test_a_tree_converges_once_and_has_nothing_of_the_controller(tree: Path, tmp_path: Path) -> None:
    """Its board follows a channel, as the group data of that board say."""
    channel = Channel(Sandbox(tree, as_root=True), patience=60)
    (tmp_path / "qemu.py").write_text('channel_url = "http://updates.example/boards"\n')
    told = (*GENERATE, "--group-data", "inventory/group_data", "--group-data", str(tmp_path))
    first = deploy(tree, *told)
    assert first.returncode == 0, first.said
    assert "Activate | Switch to the release" in first.changed
    second = deploy(tree, *told)
    assert (second.returncode, second.changed) == (0, []), second.said
    assert mounts(tree) == []
    assert_follows(tree, "http://updates.example/boards", "qemu")

    for unit in ("ollama-cpp-server.service", KEY_UNIT.name, PLACES.channel_timer.name):
        found: list[bytes] = []
        assert (channel.carry(f"systemctl is-enabled {unit}", sink=found.append)[0], found) == (0, [b"enabled\n"])
    assert channel.carry("boardllama check-config && llama-server --version")[0] == 0
    assert channel.carry("grep -q 'llama.cpp, Copyright' /usr/lib/boardllama/current/licences.txt")[0] == 0
    assert not (tree / "etc/ollama-cpp/api-key").exists()
    assert not any((tree / "tmp").iterdir())
    assert {path.name for path in (tree / "run").iterdir()} <= {"lock"}
    assert holding(tree, str(REPO)) == holding(tree, str(tree)) == holding(tree, str(cache_dir())) == ""
    assert holding(tree, f"@{socket.gethostname()}", "--binary-files=without-match") == ""


def assert_follows(tree: Path, url: str, kind: str) -> None:
    """Its board looks there for releases of that kind at its first start, and believes this controller's key alone."""
    told = tree / str(PLACES.channel).lstrip("/")
    assert (json.loads((told / TOLD).read_text())["url"], json.loads((told / TOLD).read_text())["kind"]) == (url, kind)
    assert (told / KEY).read_text() == openpgp.public_key()
    assert f"signed-by={PLACES.channel / KEY}] {url} " in (told / LIST).read_text()
    assert str(PLACES.channel / LIST) in (told / APT).read_text()


def holding(tree: Path, word: str, *options: str) -> str:
    """Files with that word, where a deploy writes."""
    names = ("etc/ollama-cpp", "usr/lib/boardllama", "var/lib/boardllama", "var/lib/ollama", "usr/lib/sysusers.d")
    grep = ["grep", "-rlF", *options, "-e", word, *(str(tree / name) for name in names)]
    return subprocess.run(grep, capture_output=True, text=True, check=False).stdout


def test_the_first_start_makes_a_key_that_curl_and_the_server_take(shared: Path, channel: Channel) -> None:
    """What the unit runs, without the unit."""
    assert channel.carry("mkdir -p /etc/ollama-cpp; groupadd -f ollama")[0] == 0
    assert channel.carry(key_command(OLLAMA, random_key("/dev/random"))) == (0, "")
    made = shared / "etc/ollama-cpp/api-key"
    assert (len(made.read_text().strip()), oct(made.stat().st_mode)[-3:]) == (32, "640")


def test_a_key_of_ones_own_does_not_go_into_an_image(tree: Path) -> None:
    run = deploy(tree, "--data", "api_key=secret-of-one-board")
    assert run.returncode == 1
    assert "does not go into an image" in run.said
    grep = ["grep", "-rl", "secret-of-one-board", str(tree)]
    assert subprocess.run(grep, capture_output=True, text=True, check=False).stdout == ""


@pytest.mark.parametrize(("board", "build"), [("rpi4", "cortex-a72"), ("efi", "cortex-a76")])
def test_the_build_is_for_the_board_and_not_for_the_build_machine(shared: Path, board: str, build: str) -> None:
    planned = plan(shared, BOARDLLAMA_BOARD=board)
    assert f"Compile llama.cpp for {build}" in planned


def test_a_build_that_the_board_cannot_run_is_refused(shared: Path) -> None:
    assert "cortex-a76 needs asimddp" in plan(shared, "--data", "cpu=cortex-a76", BOARDLLAMA_BOARD="rpi4")


def options_of(settings: dict[str, Any]) -> list[str]:
    """The words that tell pyinfra these settings."""
    return [word for name, value in settings.items() for word in ("--data", f"{name}={json.dumps(value)}")]


def plan(tree: Path, *options: str, **more: str) -> str:
    """What a dry run says."""
    done = subprocess.run(
        [PYINFRA, "--dry", *options, "inventory/image.py", "deploy.py"],
        cwd=REPO,
        env=environment(tree, **more),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture
def user() -> Iterator[str]:
    """An account with ids of its own in /etc/subuid, as useradd makes one."""
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", USER], check=True)
    yield USER
    subprocess.run(["userdel", "--remove", USER], check=True, capture_output=True)


def test_an_ordinary_user_converges_a_tree_with_several_models(user: str, debian: Path) -> None:
    """The account may read what lies in root's home, where this Python and the cache are; it has no other privilege."""
    reading = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    account = ("--reuid", user, "--regid", user, "--init-groups")
    home = Path("/home") / user
    tree = home / "tree"
    as_user = ("setpriv", *account, *reading, "--", "env", f"HOME={home}")
    owner = ("unshare", "--user", "--map-root-user", "--map-auto", "--")
    unpack = shlex.join([*owner, "tar", "-C", str(tree), "--numeric-owner", "-xpf", "-"])
    copying = f"mkdir {tree} && tar -C {debian} --numeric-owner -cf - . | {unpack}"
    subprocess.run([*as_user, "sh", "-c", copying], check=True)
    try:
        run = deploy(tree, *options_of(SEVERAL), before=as_user, BOARDLLAMA_CACHE=str(cache_dir()))
        assert run.returncode == 0, run.said
        assert "Activate | Switch to the release" in run.changed
        assert tree.owner() == user
        again = deploy(tree, *options_of(SEVERAL), before=as_user, BOARDLLAMA_CACHE=str(cache_dir()))
        assert (again.returncode, again.changed) == (0, []), again.said
        for service in told(**SEVERAL).services:
            assert all(
                (tree / path.relative_to("/")).is_symlink() for path in (service.enabled(PLACES), service.config)
            )
    finally:
        shutil.rmtree(tree, ignore_errors=True)
