"""Sources: four kinds, chosen and pinned by flat settings; the key follows the content and nothing else."""

from pathlib import Path

import pytest

from deploy.build import source
from deploy.errors import BoardllamaError

COMMIT = "0c1e57098bba43ac29e6e3b677cdceebdd22334f"
HASH = "8" * 64
SETTINGS = {
    "llama_source": "pypi",
    "llama_commit": COMMIT,
    "llama_pypi_version": "0.3.36",
    "llama_pypi_url": "https://files.example/llama_cpp_python-0.3.36.tar.gz",
    "llama_pypi_sha256": HASH,
    "llama_git_url": "https://git.example/llama.cpp.git",
    "llama_archive_url": "https://files.example/llama.tar.gz",
    "llama_archive_sha256": "a" * 64,
    "llama_path": "",
}


def tree(root: Path) -> Path:
    """The smallest folder that counts as llama.cpp."""
    (root / "ggml").mkdir(parents=True)
    (root / "ggml" / "CMakeLists.txt").write_text("project(ggml)\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    return root


def path_source(root: Path) -> source.Source:
    source.content_hash.cache_clear()
    return source.source_of(SETTINGS | {"llama_source": "path", "llama_path": str(root)})


@pytest.mark.parametrize(("kind", "pin"), [("pypi", COMMIT), ("git", COMMIT), ("archive", "a" * 64)])
def test_each_kind_is_read_from_its_own_settings(kind: str, pin: str) -> None:
    chosen = source.source_of(SETTINGS | {"llama_source": kind})
    assert chosen.kind == kind
    assert chosen.pin == pin
    assert chosen.for_builder()["kind"] == kind


def test_an_address_does_not_change_the_identity_but_a_pin_does() -> None:
    one = source.source_of(SETTINGS).content_inputs()
    assert source.source_of(SETTINGS | {"llama_pypi_url": "https://index.example/x.tar.gz"}).content_inputs() == one
    assert source.source_of(SETTINGS | {"llama_pypi_sha256": "9" * 64}).content_inputs() != one


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"llama_source": "svn"}, "llama_source is 'svn': must be one of pypi, git, archive, path"),
        ({"llama_pypi_sha256": "832DB"}, "llama_pypi_sha256 is '832DB': must be 64 hexadecimal digits in lower case"),
        ({"llama_commit": "master"}, "llama_commit is 'master': must be a full commit of 40 hexadecimal digits"),
        ({"llama_pypi_url": "files'; rm -rf /"}, "llama_pypi_url is .*: must be an http"),
        ({"llama_source": "git", "llama_git_url": "--upload-pack=x"}, "llama_git_url is .*: must be an http"),
        ({"llama_source": "path", "llama_path": ""}, "llama_path is '': must be a llama.cpp folder"),
        ({"llama_source": "path", "llama_path": "/nowhere"}, "llama_path is '/nowhere': must be a llama.cpp folder"),
    ],
)
def test_a_bad_setting_is_refused_by_name_in_one_line(change: dict[str, str], line: str) -> None:
    with pytest.raises(BoardllamaError, match=line) as refusal:
        source.source_of(SETTINGS | change)
    assert "\n" not in str(refusal.value)


def test_the_pins_of_other_kinds_are_not_read() -> None:
    source.source_of(SETTINGS | {"llama_archive_sha256": "", "llama_git_url": "", "llama_path": "/nowhere"})


def test_a_path_is_keyed_by_its_content_wherever_it_lies(tmp_path: Path) -> None:
    one, other = tree(tmp_path / "one"), tree(tmp_path / "deeper" / "other")
    assert path_source(one).content_inputs() == path_source(other).content_inputs()


def test_every_edit_of_a_path_changes_its_key(tmp_path: Path) -> None:
    """Bytes, names, executable bits and links all count."""
    root = tree(tmp_path)
    seen = {path_source(root).pin}
    (root / "run.sh").write_text("#!/bin/sh\necho\n")
    seen.add(path_source(root).pin)
    (root / "run.sh").chmod(0o755)
    seen.add(path_source(root).pin)
    (root / "run.sh").rename(root / "walk.sh")
    seen.add(path_source(root).pin)
    (root / "link").symlink_to("walk.sh")
    seen.add(path_source(root).pin)
    (root / "folder").symlink_to("ggml")
    seen.add(path_source(root).pin)
    assert len(seen) == 6


def test_history_and_build_leftovers_of_a_path_do_not_count(tmp_path: Path) -> None:
    root = tree(tmp_path)
    before = path_source(root).pin
    for name in (".git", "build", "node_modules"):
        (root / name).mkdir()
        (root / name / "x").write_text("x")
    assert path_source(root).pin == before
    assert [path.name for path in source.tree_files(root)] == ["run.sh", "CMakeLists.txt"]
