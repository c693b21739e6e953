"""What these tests need: root, loop devices, and nbdkit for cards that fail. They fail, and say so, without."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.flash.flashing import Flashing
from tests.flash.images import Recipe, make_image

ROOM = 1 << 30  # bytes: what two workers need; a container often has 64 MB
PROGRAMS = ("losetup", "nbdkit", "nbdfuse", "fusermount3", "bmaptool", "sfdisk", "mformat", "mcopy", "blkid", "mke2fs")


@pytest.fixture(scope="session", autouse=True)
def machine() -> None:
    """Fails when this machine cannot run them."""
    missing = [name for name in PROGRAMS if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")]
    missing += ["root"] if os.geteuid() else []
    missing += [path for path in ("/dev/loop-control", "/dev/fuse") if not Path(path).exists()]
    if missing:
        pytest.fail(f"tests/flash needs {', '.join(missing)}: run `make setup`, and the tests as root")


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder in RAM: a card's memory is written hundreds of times by these tests."""
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and shutil.disk_usage(shared).free >= ROOM
    with TemporaryDirectory(prefix="boardllama-", dir=shared if roomy else None) as folder:
        yield Path(folder)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In place of pytest's own, which is on a disk."""
    with memory_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def images() -> Iterator[Path]:
    """A folder with the images `old` and `new`, and the keys that signed them."""
    with memory_folder() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOARDLLAMA_KEYS", str(folder / "keys"))
        make_image(folder / "old", Recipe())
        make_image(folder / "new", Recipe(config=b"threads = 3"))
        yield folder


@pytest.fixture
def flashing(images: Path, tmp_path: Path) -> Flashing:
    """Runs `python -m deploy.flash` with the keys of `images`, and a results.jsonl of its own."""
    return Flashing(images, tmp_path / "results.jsonl")
