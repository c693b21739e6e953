"""What a deploy has done to a base is told by its inodes, which e2fsprogs' own debugfs shows."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.image.base.root_file_system import CLOCK
from deploy.image.base.tree_state import (
    Changes,
    TreeState,
    compare_states,
    hash_ours,
    read_state,
    rewritten_files,
)

ODD = ("a\nb", "debugfs: ls -p <2>\n", "\n", " ", "\udcff", "a\\b")


def state_of(tree: Path) -> TreeState:
    """The state of an ext4 file system that holds the tree, with the same times."""
    disk = tree.parent / f"{tree.name}.ext4"
    made = ["/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-d", str(tree), str(disk), "16M"]
    subprocess.run(made, check=True, capture_output=True)

    def ask(commands: Iterable[str]) -> bytes:
        given = "\n".join(commands).encode()
        return subprocess.run(
            ["/usr/sbin/debugfs", "-f", "/dev/stdin", str(disk)], input=given, check=True, capture_output=True
        ).stdout

    return {name: entry for name, entry in read_state(ask).items() if name != "lost+found"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Files, links and folders, some by names that debugfs does not quote."""
    root = tmp_path / "tree"
    for name in ("etc/shadow", "etc/machine-id", "usr/lib/os-release", *(f"usr/{name}/{name}" for name in ODD)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    (root / "link").symlink_to("usr/lib")
    os.link(root / "etc/shadow", root / "etc/hard")
    os.mkfifo(root / "pipe")
    return root


def test_every_path_is_told_as_lstat_tells_it(tree: Path) -> None:
    os.truncate(tree / "usr/lib/os-release", 3)
    state = state_of(tree)
    assert state.keys() == {str(path.relative_to(tree)) for path in tree.rglob("*")}
    for name, entry in state.items():
        seen = (tree / name).lstat()
        assert (entry.mode, entry.uid, entry.gid) == (seen.st_mode, seen.st_uid, seen.st_gid), name
        assert entry.is_folder or entry.size == seen.st_size, name


def test_what_was_done_is_told_by_names_and_inodes(tree: Path) -> None:
    os.utime(tree / "usr/lib/os-release", (1, 1))
    before = state_of(tree)
    (tree / "usr/lib/new").mkdir()
    (tree / "usr/lib/new/file").write_bytes(b"x")
    (tree / "etc/shadow").chmod(0o600)
    (tree / "etc/machine-id").unlink()
    os.utime(tree / "usr/lib/os-release", (2, 2))
    found = compare_states(before, state_of(tree))
    changed = ("etc/hard", "etc/shadow", "usr/lib/os-release")
    assert found == Changes(("usr/lib/new", "usr/lib/new/file"), changed, ("etc/machine-id",))


def test_a_file_of_an_earlier_run_is_told_by_its_content(tree: Path) -> None:
    """The clock stands: its times say nothing of a second writing."""
    before = {
        name: entry._replace(changed=hex(CLOCK)) if name == "etc/machine-id" else entry
        for name, entry in state_of(tree).items()
    }
    ours = hash_ours(tree, before)
    assert compare_states(before, before, rewritten_files(tree, ours)) == Changes((), (), ())
    (tree / "etc/machine-id").write_bytes(b"y")
    assert compare_states(before, before, rewritten_files(tree, ours)) == Changes((), ("etc/machine-id",), ())


def test_a_link_that_imitates_debugfs_is_refused(tree: Path) -> None:
    (tree / "spoof").symlink_to('x"\ndebugfs: stat <20>\nInode: 20')
    with pytest.raises(BoardllamaError, match=r"cannot be listed .* get the base again, or another"):
        state_of(tree)
