"""The file of a gateway's clients: a line for each, with its name and its key, or `sha256:` and the hash of its key."""

import hashlib
import re
from pathlib import Path

from deploy.errors import BoardllamaError

CLIENT = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._@-]{0,63})\s+(?:sha256:(?P<hash>[0-9a-f]{64})|(?P<key>[!-~]{16,200}))"
)
RULE = "its name, and its key of 16 to 200 printable characters, or sha256: and the 64 digits of the key's hash"


def read_client_keys(path: Path) -> dict[str, str]:
    """Names by the sha256 of the keys. A client may have several lines.

    Raises BoardllamaError, which never shows a key, for a file that cannot be read, holds no client, or a bad line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BoardllamaError(f"gateway_clients is {path}: it cannot be read ({type(error).__name__})") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            name, digest = read_client(line.strip(), f"{path}, line {number}")
            if found.setdefault(digest, name) != name:
                raise BoardllamaError(
                    f"{path}, line {number}: {name} has the same key as {found[digest]}: give it its own"
                )
    if not found:
        raise BoardllamaError(f"gateway_clients is {path}: it holds no client; write a line for each: {RULE}")
    return found


def read_client(line: str, place: str) -> tuple[str, str]:
    """The client's name, and the sha256 of its key. Raises BoardllamaError, which does not show the line."""
    told = CLIENT.fullmatch(line)
    if not told:
        raise BoardllamaError(f"{place}: must be {RULE}")
    return told["name"], told["hash"] or hashlib.sha256(told["key"].encode()).hexdigest()
