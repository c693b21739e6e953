"""What is true of a host now: the machine that it is (board.py), and what it holds (target.py)."""

from deploy.hosts.facts.board import Board, BoardInfo
from deploy.hosts.facts.target import (
    KeyFile,
    KeyInfo,
    Links,
    ReleaseFiles,
    Status,
    StatusInfo,
    Stored,
    StoredFiles,
    Text,
    Texts,
    Units,
    UnitState,
)

__all__ = [
    "Board",
    "BoardInfo",
    "KeyFile",
    "KeyInfo",
    "Links",
    "ReleaseFiles",
    "Status",
    "StatusInfo",
    "Stored",
    "StoredFiles",
    "Text",
    "Texts",
    "UnitState",
    "Units",
]
