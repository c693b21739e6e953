"""A power cut at any moment of a first boot, and what is left on the card of a secret."""

import shutil
from pathlib import Path

import pytest

from deploy.onboard import first_boot, places
from deploy.onboard.card import NEW, OLD
from deploy.onboard.identity import FILE
from tests.unit.first_board import Board, PowerCut, board
from tests.unit.test_first_boot import TEXT

__all__ = ["board"]


def keygen(*words: str) -> str:
    """ssh-keygen, without the time that it takes."""
    if "-t" in words:
        for name in (words[-1], f"{words[-1]}.pub"):
            Path(name).write_text("a key")
    return ""


def test_a_power_cut_between_any_two_writes_is_mended_by_the_next_boot(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_boot, "run", keygen)
    text = TEXT.replace("dns = ", "dsn = ")  # so that the complaint is cut too
    board.insert(text)
    board.boot()
    writes, wanted = board.writes, board.state()
    assert writes > 30
    for cut in range(1, writes + 1):
        for path in tmp_path.iterdir():
            shutil.rmtree(path)
        (tmp_path / "etc").mkdir()
        board.card.folder.mkdir()
        places.HOSTNAME.write_text("boardllama\n")
        board.insert(text)
        with pytest.raises(PowerCut):
            board.boot(cut)
        names = {path.name for path in board.card.folder.iterdir()}
        assert FILE in names or NEW in names, "never lost"
        assert board.boot() == 0, cut
        assert board.state() == wanted, cut
        assert not {NEW, OLD} & {path.name for path in board.card.folder.iterdir()}


def test_a_secret_is_overwritten_where_it_lay(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """Removing alone leaves it readable for whoever finds the card."""
    seen: list[tuple[str, str]] = []
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        seen.append(snapshot(path))
        real(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    board.insert(TEXT)
    board.boot()
    (content,) = [text for name, text in seen if name == OLD]
    assert content.strip() == "" and len(content) == len(TEXT)


def snapshot(path: Path) -> tuple[str, str]:
    """Its name and what is in it."""
    return path.name, path.read_text() if path.is_file() else ""
