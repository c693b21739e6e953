"""A patch is applied where all of it fits, and left out aloud where it does not; the tree appears patched."""

import subprocess
from pathlib import Path

import pytest

from deploy.build import unpack
from tests.unit.test_fetch import LLAMA, archive

KERNELS = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n-- eight\nnine\nten\neleven\ntwelve\n"
BETTER = KERNELS.replace("two\n", "two and a half\n").replace("-- eight\n", "").replace("twelve", "twelve\n\nthirteen")


@pytest.fixture
def patch(tmp_path: Path) -> Path:
    """What diff makes of a changed file and a new one."""
    for side, text in (("a", KERNELS), ("b", BETTER)):
        (tmp_path / side / "ggml").mkdir(parents=True)
        (tmp_path / side / "ggml" / "kernels.c").write_text(text)
    (tmp_path / "b" / "ggml" / "new.h").write_text("new\n")
    path = tmp_path / "0001-better.patch"
    with path.open("w") as file:
        subprocess.run(["diff", "-ruN", "a", "b"], cwd=tmp_path, stdout=file, check=False)
    return path


def patched(tmp_path: Path, kernels: str, *patches: Path) -> Path:
    """The tree that comes out for a source with these kernels."""
    packed = tmp_path / "archive"
    packed.write_bytes(archive(LLAMA | {"ggml/kernels.c": kernels.encode()}))
    assert unpack.main([str(packed), str(tmp_path / "src"), *map(str, patches)]) == 0
    return tmp_path / "src" / "ggml"


def test_a_patch_that_fits_is_applied(tmp_path: Path, patch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = patched(tmp_path, KERNELS, patch)
    assert (tree / "kernels.c").read_text() == BETTER
    assert (tree / "new.h").read_text() == "new\n"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "kernels", [KERNELS.replace("eleven", "10 + 1"), "zero\n" + KERNELS, KERNELS.partition("nine")[0], BETTER, ""]
)
def test_nothing_is_applied_of_a_patch_that_does_not_fit(
    tmp_path: Path, patch: Path, capsys: pytest.CaptureFixture[str], kernels: str
) -> None:
    tree = patched(tmp_path, kernels, patch)
    assert (tree / "kernels.c").read_text() == kernels
    assert not (tree / "new.h").exists()
    assert capsys.readouterr().out == "0001-better.patch is for another source: this one is built without that patch\n"


def test_a_file_that_is_there_already_is_not_created_anew(
    tmp_path: Path, patch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = tmp_path / "archive"
    packed.write_bytes(archive(LLAMA | {"ggml/kernels.c": KERNELS.encode(), "ggml/new.h": b"theirs\n"}))
    assert unpack.main([str(packed), str(tmp_path / "src"), str(patch)]) == 0
    assert "for another source" in capsys.readouterr().out
    assert (tmp_path / "src" / "ggml" / "new.h").read_text() == "theirs\n"


def test_bytes_that_are_no_text_stay_as_they_are(tmp_path: Path) -> None:
    odd, patch = tmp_path / "odd.c", tmp_path / "0001-odd.patch"
    odd.write_bytes(b"one\f\xff\r\ntwo\n")
    patch.write_text("--- a/odd.c\n+++ b/odd.c\n@@ -2 +2 @@\n-two\n+2\n")
    unpack.apply_patch(tmp_path, patch)
    assert odd.read_bytes() == b"one\f\xff\r\n2\n"
