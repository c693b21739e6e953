"""A board in a folder, with its card: it boots for real, but for what needs root, and its power can go at any write."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.onboard.identity import consoles, first_boot, steps
from deploy.onboard.identity.boardllama_txt import ERRORS, FILE
from deploy.onboard.identity.partition import IdentityFolder
from deploy.onboard.places import PLACES
from deploy.onboard.service import OLLAMA
from tests.services import paths_below

__all__ = ["Board", "PowerCut", "board"]


class PowerCut(BaseException):
    """Nothing catches it."""


class Board:
    """A root folder and a card, which `boot` starts; `cut` is the number of the write at which the power goes."""

    def __init__(self, root: Path) -> None:
        self.root, self.card = root, IdentityFolder(root / "card")
        self.places, self.service = paths_below(root, PLACES), paths_below(root, OLLAMA)
        self.card.folder.mkdir()
        self.kernel_name = ""
        self.cut: int | None = None
        self.writes = 0

    def lay_out(self) -> None:
        """The files of an image of our own that a first boot looks at."""
        self.places.hostname.parent.mkdir()
        self.places.hostname.write_text("boardllama\n")
        self.places.account.parent.mkdir(parents=True)
        self.places.account.touch()

    def insert(self, text: str | bytes) -> None:
        """A technician writes the file."""
        (self.card.folder / FILE).write_bytes(text if isinstance(text, bytes) else text.encode())

    def boot(self, cut: int | None = None) -> int:
        """The exit status."""
        self.cut, self.writes = cut, 0
        try:
            return first_boot.set_up_board(self.card, self.places)
        finally:
            self.cut = None

    def count(self) -> None:
        """Before everything that changes a disk."""
        self.writes += 1
        if self.writes == self.cut:
            raise PowerCut

    @property
    def file(self) -> str:
        """The technician's file now."""
        return (self.card.folder / FILE).read_text()

    @property
    def errors(self) -> str:
        """What the board says on the card."""
        path = self.card.folder / ERRORS
        return path.read_text() if path.exists() else ""

    def state(self) -> dict[str, str]:
        """Every file by its name; keys that differ from board to board are shown as such."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = str(path.relative_to(self.root))
            if path.is_symlink():
                found[name] = f"-> {path.readlink()}"
            elif path.is_file():
                found[name] = "a key" if "ssh_host" in name else path.read_text()
        return found


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """As an image of our own was flashed: no key, no name. Its programs are real but those that need root."""
    monkeypatch.setattr(consoles, "ACTIVE", tmp_path / "consoles")
    made = Board(tmp_path)
    made.lay_out()
    monkeypatch.setattr(steps, "services_of", lambda release: (made.service,))
    monkeypatch.setattr(socket, "sethostname", lambda name: setattr(made, "kernel_name", name))
    monkeypatch.setattr(first_boot, "make_account", lambda: None)
    monkeypatch.setattr(steps, "default_name", lambda: "boardllama-1a2b3c")
    monkeypatch.setattr(shutil, "chown", lambda path, group: None)
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # a cut here loses nothing that was written
    for owner, name in ((Path, "replace"), (Path, "unlink"), (Path, "touch"), (os, "fsync"), (os, "ftruncate")):
        watch(monkeypatch, made, owner, name)
    whole = Path.write_bytes

    def write_bytes(path: Path, content: bytes) -> int:
        try:
            made.count()
        except PowerCut:
            whole(path, content[: len(content) // 2])
            raise
        return whole(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    in_place = os.pwrite

    def pwrite(handle: int, content: bytes, offset: int) -> int:
        try:
            made.count()
        except PowerCut:
            in_place(handle, content[: len(content) // 2], offset)
            raise
        return in_place(handle, content, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    yield made


def watch(monkeypatch: pytest.MonkeyPatch, board: Board, owner: Any, name: str) -> None:
    """Lets the board count the calls of a function that changes a disk, and cut before them."""
    real: Callable[..., Any] = getattr(owner, name)

    def counted(*arguments: Any, **options: Any) -> Any:
        board.count()
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, counted)
