"""Trees for the tests of this folder."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deploy.debian.binfmt import ensure_arm64_runs
from deploy.image.tree.channel import Channel
from deploy.image.tree.sandbox import Sandbox
from tests.image import trees


@pytest.fixture(scope="session", autouse=True)
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's own signing key signs no image of a test, and none is made for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOARDLLAMA_KEYS", str(tmp_path_factory.mktemp("keys")))
        yield


@pytest.fixture(scope="session")
def debian(request: pytest.FixtureRequest) -> Path:
    """A Debian tree that nobody changes; made first when there is none, with its progress shown."""
    assert os.geteuid() == 0, "tests/image needs root: it makes trees with root's files and device nodes in them"
    ensure_arm64_runs()
    show = request.config.pluginmanager.getplugin("capturemanager")
    with show.global_and_fixture_disabled():
        return trees.debian_tree()


@pytest.fixture
def tree(debian: Path, tmp_path: Path) -> Iterator[Path]:
    """A fresh tree."""
    made = trees.copy(debian, tmp_path / "tree")
    yield made
    trees.remove(made)


@pytest.fixture(scope="module")
def shared(debian: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tree for the tests of one file, which use names of their own in it."""
    made = trees.copy(debian, tmp_path_factory.mktemp("shared") / "tree")
    yield made
    trees.remove(made)


@pytest.fixture
def channel(shared: Path) -> Channel:
    """The way into it, which gives up soon."""
    return Channel(Sandbox(shared, as_root=True), patience=20)


@pytest.fixture
def victim() -> Iterator[Path]:
    """A folder of the controller. Not in /tmp, which a sandbox has of its own."""
    with TemporaryDirectory(prefix="boardllama-", dir="/var/tmp") as folder:
        yield Path(folder)
