"""A power cut at any moment of a first boot, and what is left on the card of a secret."""

import shutil
from pathlib import Path

import pytest

from deploy.onboard.identity import first_boot
from deploy.onboard.identity.boardllama_txt import FILE
from deploy.onboard.identity.partition import COPY, seal_copy
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
    monkeypatch.setattr(first_boot, "run_command", keygen)
    text = TEXT.replace("dns = ", "dsn = ")  # so that the complaint is cut too
    board.insert(text)
    board.boot()
    writes, wanted = board.writes, board.state()
    assert writes > 30
    for cut in range(1, writes + 1):
        for path in tmp_path.iterdir():
            shutil.rmtree(path)
        board.card.folder.mkdir()
        board.lay_out()
        board.insert(text)
        with pytest.raises(PowerCut):
            board.boot(cut)
        names = {path.name for path in board.card.folder.iterdir()}
        assert FILE in names, "never lost"
        assert board.boot() == 0, cut
        assert board.state() == wanted, cut
        assert COPY not in {path.name for path in board.card.folder.iterdir()}


def test_a_secret_is_overwritten_where_it_lay(board: Board) -> None:
    """A new file in the place of the old one leaves the old one's bytes on the card."""
    board.insert(TEXT)
    before = (board.card.folder / FILE).stat().st_ino
    board.boot()
    assert (board.card.folder / FILE).stat().st_ino == before
    assert "applied" in board.file


def test_an_edit_after_a_power_cut_is_not_undone(board: Board, tmp_path: Path) -> None:
    board.insert(TEXT)
    (board.card.folder / COPY).write_bytes(seal_copy(b"hostname = cellar\n", 7))
    board.boot()
    assert "cellar" not in board.file
    assert COPY not in {path.name for path in board.card.folder.iterdir()}


def test_an_empty_file_takes_nothing_away(board: Board) -> None:
    """It is what a card that was pulled out, or whose power went, may hold."""
    board.insert(TEXT)
    board.boot()
    keys = board.places.authorized_keys.read_text()
    for nothing in ("", "\n \n"):
        board.insert(nothing)
        board.boot()
        assert keys and board.places.authorized_keys.read_text() == keys
