"""Images that QEMU has no machine for, made whole and judged by their content: minutes for each root tree."""

from pathlib import Path

import pytest

from deploy.image.assembly import make_image
from deploy.image.boards import DEBIAN_BOARDS


@pytest.mark.parametrize("name", [name for name, board in DEBIAN_BOARDS.items() if not board.has_emulator])
def test_an_image_holds_what_its_board_starts_from(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """make_image refuses an image whose boot partition lacks a file that the board needs, or has one damaged."""
    monkeypatch.setenv("BOARDLLAMA_KEYS", str(tmp_path / "keys"))
    made = make_image(DEBIAN_BOARDS[name], "none", None, tmp_path / "dist")
    assert all(path.stat().st_size for path in made.all_files)
