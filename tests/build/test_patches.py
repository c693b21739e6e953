"""The patches are for the default source: there, all of them are applied."""

from pathlib import Path

import pytest

from deploy.build import unpack
from deploy.build.artifact import HERE, PATCHES
from deploy.paths import cache_dir
from tests.build.builds import CPU, Make


def test_every_patch_fits_the_default_source(built: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = cache_dir() / "builder" / "source" / built(CPU).recipe_variables()["SOURCE_KEY"]
    patches = [str(HERE / name) for name in PATCHES]
    assert patches and unpack.main([str(archive), str(tmp_path / "src"), *patches]) == 0
    assert capsys.readouterr().out == ""
