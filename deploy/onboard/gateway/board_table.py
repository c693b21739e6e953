"""boards.json: what a gateway knows of its boards. Written by the deploy, read by it again and by the keeper."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from ..json_parts import parse_json
from ..spelling import printable_text

VERSION = 1
# What haproxy takes as a name.
UNNAMEABLE = re.compile(r"[^A-Za-z0-9_.:-]")


@dataclass(frozen=True)
class ServedModel:
    """A model that a board serves. `model`: its name in the API. `file`: the name of its file, understood, too.
    `slots`: requests that its server works on at once. `sleeps`: it gives its memory back when nobody asks.
    """

    model: str
    file: str
    role: str
    slots: int
    sleeps: bool = False


@dataclass(frozen=True)
class BoardEntry:
    """A board as the gateway reaches it. `key`: sha256 of its key file; "" for a board without a key."""

    name: str
    address: str
    port: int
    key: str
    offers: tuple[ServedModel, ...]

    @property
    def label(self) -> str:
        """The board's name in haproxy."""
        return safe_name(self.name)


@dataclass(frozen=True)
class BoardTable:
    """`ask_seconds`: how long a board may go without an answer before it is asked for a token; 0: for ever.
    `out_share`: of a model's boards, those that may be out at once. `drain_seconds`: for the requests of such a board.
    """

    boards: tuple[BoardEntry, ...] = ()
    ask_seconds: float = 0.0
    out_share: float = 1.0
    drain_seconds: float = 0.0

    @property
    def by_label(self) -> dict[str, BoardEntry]:
        """The boards by their names in haproxy."""
        return {board.label: board for board in self.boards}

    @property
    def pools(self) -> "list[Pool]":
        """The models that are served, each with its boards, in the order of their names."""
        found: dict[str, dict[BoardEntry, ServedModel]] = {}
        for board in self.boards:
            for offer in board.offers:
                found.setdefault(offer.model, {})[board] = offer
        models = sorted(found)
        return [Pool(label, model, found[model]) for label, model in zip(pool_labels(models), models, strict=True)]

    def to_json(self) -> str:
        """The text that `table_from_json` reads."""
        return json.dumps({"version": VERSION, **asdict(self)}, indent=1) + "\n"


@dataclass(frozen=True)
class Pool:
    """A model with the boards that serve it. `label`: its name in haproxy."""

    label: str
    model: str
    offers: dict[BoardEntry, ServedModel]

    def most_out(self, share: float) -> int:
        """How many of the boards may be out at once: at least one."""
        return max(1, int(len(self.offers) * share))


def table_from_json(text: str) -> BoardTable:
    """Raises ValueError for a text that is no table of this version."""
    told = parse_json(text)
    if not isinstance(told, dict) or told.pop("version", None) != VERSION:
        raise ValueError(f"it is no table of boards of version {VERSION}")
    try:
        return BoardTable(**told | {"boards": tuple(map(board_from, told["boards"]))})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(printable_text(f"it is no table of boards: {error}")) from None


def board_from(told: dict[str, Any]) -> BoardEntry:
    """An entry of boards.json. Raises KeyError, TypeError."""
    return BoardEntry(**told | {"offers": tuple(ServedModel(**offer) for offer in told["offers"])})


def told_json(board: BoardEntry, key: str) -> str:
    """What a deploy tells of a board after its switch, in a line: `board_told` reads it."""
    return json.dumps({"board": asdict(board), "key": key})


def board_told(text: str) -> tuple[BoardEntry, str]:
    """The board as it is now, and its key. Raises ValueError, KeyError, TypeError."""
    told = parse_json(text)
    return board_from(told["board"]), str(told["key"])


def safe_name(text: str) -> str:
    """A name that haproxy takes."""
    return UNNAMEABLE.sub("-", text)


def pool_labels(models: Iterable[str]) -> list[str]:
    """haproxy's names for models, each another one."""
    labels: list[str] = []
    for model in models:
        label = f"model-{safe_name(model)}"
        labels.append(f"{label}-{len(labels)}" if label in labels else label)
    return labels
