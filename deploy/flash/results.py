"""results.jsonl: one line of JSON for every card, whatever became of the card. A batch goes on by these lines."""

import json
import os
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from deploy.errors import BoardllamaError
from deploy.onboard.identity.boardllama_txt import Identity
from deploy.onboard.identity.rules import NAMES
from deploy.onboard.json_parts import parse_json

Public = dict[str, list[str]]
APPEND_LOCK = threading.Lock()


class CardVerdict(Enum):
    PASS = "PASS"
    FAIL = "FAIL"
    INTERRUPTED = "INTERRUPTED"


@dataclass(frozen=True)
class Result:
    """What became of one card. `bytes` were written to it, in `seconds` from opening the card to its verdict.

    `identity` has no secrets; `time` is ISO, in UTC.
    """

    device: str
    serial: str
    image: str
    image_sha256: str
    identity: Public
    bytes: int
    seconds: float
    verdict: CardVerdict
    reason: str
    time: str

    @property
    def json_line(self) -> str:
        return json.dumps(asdict(self) | {"verdict": self.verdict.value}, ensure_ascii=False)


def public_values(identity: Identity | None) -> Public:
    """The values of the identity by their names, without secrets."""
    found: Public = {}
    for name, value in identity.entries if identity else ():
        if not NAMES[name].secret:
            found.setdefault(name, []).append(value)
    return found


def has_secret(identity: Identity | None) -> bool:
    """True when public_values leaves something out."""
    return any(NAMES[name].secret for name, _ in (identity.entries if identity else ()))


def check_results(path: Path) -> None:
    """Makes the file of results, before a card is written. Raises BoardllamaError when no line can be added to it."""
    is_new = not os.path.lexists(path)
    try:
        with path.open("ab") as file:
            if is_new and os.geteuid() == 0:
                give_to_owner(file.fileno(), path.parent)
    except OSError as error:
        raise BoardllamaError(f"{path} cannot be written ({error.strerror}): RESULTS=… names another place") from None


def give_to_owner(descriptor: int, folder: Path) -> None:
    """Gives a file of root's to the owner of its folder, who goes on with it without sudo."""
    owner = folder.stat()
    with suppress(OSError):  # FAT knows no owners
        os.chown(descriptor, owner.st_uid, owner.st_gid)


def append_result(path: Path, result: Result) -> None:
    """Adds a line that stays through a power cut. A line that a power cut has torn stays alone. Raises OSError."""
    with APPEND_LOCK, path.open("ab+") as file:
        torn = file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"
        file.write(b"\n" * bool(torn) + result.json_line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def passed_identities(path: Path, image_sha256: str) -> list[Public]:
    """Public values of each identity whose last card with this image has passed. Unreadable lines do not count."""
    found: dict[str, Public | None] = {}
    for line in path.read_text(errors="replace").splitlines() if path.is_file() else []:
        try:
            data = parse_json(line)
            if data["image_sha256"] == image_sha256:
                identity, good = dict(data["identity"]), data["verdict"] == CardVerdict.PASS.value
                found[json.dumps(identity, sort_keys=True)] = identity if good else None
        except (ValueError, KeyError, TypeError):
            continue
    return [identity for identity in found.values() if identity is not None]
