"""The command line of a sandbox, and what is no root tree."""

from itertools import pairwise
from pathlib import Path

import pytest

from deploy.errors import BoardllamaError
from deploy.image.tree.sandbox import CAPABILITIES, MOUNT_POINTS, Sandbox, check_tree

TREE = Path("/srv/tree")


def pairs(words: list[str]) -> list[tuple[str, str]]:
    """Each word with the next one."""
    return list(pairwise(words))


def test_the_tree_is_the_root_and_the_command_comes_last() -> None:
    words = Sandbox(TREE, as_root=True).command("sh", "-c", "echo $HOME; exit 1")
    assert words[:4] == ["bwrap", "--bind", "/srv/tree", "/"]
    assert words[-4:] == ["--", "sh", "-c", "echo $HOME; exit 1"]


def test_nothing_of_the_controller_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "controller's")
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    words = Sandbox(TREE, as_root=True).command("true")
    assert {"--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--clearenv"} <= set(words)
    assert ("--remount-ro", "/proc") in pairs(words), "/proc/sys would be root's to write"
    assert {("--tmpfs", "/run"), ("--tmpfs", "/tmp"), ("--dev", "/dev")} <= set(pairs(words))
    assert not {"SECRET", "https_proxy"} & set(words)
    assert sum(word.endswith("bind") for word in words) == 1, "the tree alone is bound"


def test_accounts_are_dated_as_the_image_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    assert ("SOURCE_DATE_EPOCH", "1767225600") in pairs(Sandbox(TREE, as_root=True).command("true"))


def test_it_ends_with_the_one_who_started_it_and_cannot_type_into_the_terminal() -> None:
    assert {"--die-with-parent", "--new-session"} <= set(Sandbox(TREE, as_root=True).command("true"))


def test_root_in_it_can_neither_mount_nor_make_devices() -> None:
    words = Sandbox(TREE, as_root=True).command("true")
    given = [after for word, after in pairs(words) if word == "--cap-add"]
    assert ("--cap-drop", "ALL") in pairs(words)
    assert words.index("ALL") < words.index("--cap-add"), "in that order"
    assert given == [f"CAP_{name}" for name in CAPABILITIES]
    assert not {"SYS_ADMIN", "MKNOD", "DAC_READ_SEARCH", "SYS_PTRACE", "SYS_MODULE", "NET_ADMIN"} & set(CAPABILITIES)


def test_an_ordinary_user_gets_a_user_namespace_around_it() -> None:
    mine, roots = (Sandbox(TREE, as_root).command("true") for as_root in (False, True))
    assert mine[0] == "unshare"
    assert {"--user", "--map-root-user", "--map-auto"} <= set(mine)
    assert mine[-len(roots) :] == roots


def test_the_network_is_there_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    (tmp_path / "etc").mkdir()
    linked = tmp_path / "etc/resolv.conf"
    linked.symlink_to("/run/somewhere")
    words = Sandbox(tmp_path, as_root=True, network=True).command("true")
    assert "--unshare-net" not in words
    assert ("https_proxy", "http://proxy.example") in pairs(words)
    assert "--ro-bind" not in words, "a link in the tree is not a place to mount on"
    linked.unlink()
    linked.touch()
    assert "--ro-bind" in Sandbox(tmp_path, as_root=True, network=True).command("true")


def root_tree(folder: Path) -> Path:
    """The least that is one."""
    for name in MOUNT_POINTS:
        (folder / name).mkdir(parents=True)
    return folder


def test_a_root_tree_passes(tmp_path: Path) -> None:
    check_tree(root_tree(tmp_path / "tree"))


@pytest.mark.parametrize("name", MOUNT_POINTS)
def test_a_mount_point_that_is_a_link_is_refused(tmp_path: Path, name: str) -> None:
    tree = root_tree(tmp_path / "tree")
    (tree / name).rmdir()
    (tree / name).symlink_to("/")
    with pytest.raises(BoardllamaError, match=f"{name} there is not a folder of its own"):
        check_tree(tree)


def test_what_is_no_tree_is_refused(tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.symlink_to(root_tree(tmp_path / "tree"))
    for path, said in ((linked, "a link leads there"), (tmp_path / "no", "is no folder"), (Path("/"), "this machine")):
        with pytest.raises(BoardllamaError, match=said):
            check_tree(path)
