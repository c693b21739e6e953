"""What this board is told of its channel (deploy/fleet/channel/subscribe.py), and what it remembers of it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import write_file
from ..json_parts import parse_json
from ..places import Places

TOLD, LIST, KEY, APT = "channel.json", "channel.list", "channel.asc", "apt.conf"
MACHINE_ID = Path("/etc/machine-id")


@dataclass(frozen=True)
class Subscription:
    """`url`: of the channel. `report`: where to, or "". `older`: whether a release may be older than what runs."""

    url: str
    kind: str
    canary: bool
    report: str
    older: bool

    @staticmethod
    def read(places: Places) -> "Subscription":
        """As this board was told. Raises LookupError where it was told nothing, or something else."""
        path = places.channel / TOLD
        try:
            told = parse_json(path.read_text())
            return Subscription(**{name: told[name] for name in Subscription.__dataclass_fields__})
        except FileNotFoundError:
            raise LookupError("this board follows no channel: channel_url names one, at the next deploy") from None
        except (ValueError, KeyError, TypeError) as error:
            raise LookupError(f"{path} is damaged ({error!r}): deploy again") from None


def read_memory(places: Places) -> dict[str, Any]:
    """What was remembered. "tried": the release that was tried last; "unsent", "said": a report, and the last one."""
    try:
        return dict(parse_json(memory_file(places).read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def remember(places: Places, **values: Any) -> None:
    """Adds to what is remembered."""
    write_file(memory_file(places), json.dumps(read_memory(places) | values).encode())


def memory_file(places: Places) -> Path:
    """The file with what is remembered."""
    return places.channel_state / "memory.json"


def board_id() -> str:
    """What tells this board from others, also where names repeat. It does not give the machine's id away."""
    import hashlib  # most looks need no id

    try:
        secret = MACHINE_ID.read_bytes()
    except OSError:
        secret = b""
    return f"{os.uname().nodename}-{hashlib.sha256(b'boardllama channel ' + secret).hexdigest()[:8]}"
