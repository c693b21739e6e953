"""Brings a model to its store over HTTP: gone on with after a cut, proven by its sha256, put in place in one step.

Parts and receipts are those of a deploy (deploy/hosts/store.py): what either way has brought, both know.
"""

import http.client
import os
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError

from ..files import is_proven, keep_receipt, prove_file, sha256_of, sync
from .offered import ModelOffered

BLOCK = 1 << 18
MEGABYTE = 1_000_000
# Left free on the file system, so that its journal and logs can go on; as in deploy/hosts/store.py.
SPARE = 32 * MEGABYTE
# Seconds without a byte, after which the connection is made anew; tries without a byte; seconds between two of them.
SILENCE, TRIES, PAUSE = 60.0, 5, 10.0


def pull_model(url: str, model: ModelOffered, say: Callable[[str], None]) -> None:
    """Makes the board hold the model. Raises OSError; what has arrived stays for the next try."""
    if is_proven(model.place, model.sha256):
        return
    if model.place.is_file() and model.place.stat().st_size == model.size and prove_file(model.place, model.sha256):
        return
    part = model.place.with_name(f".{model.place.name}.{model.sha256[:16]}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    require_disk_room(model, part)
    say(f"bringing {model.place.name}, {model.size // MEGABYTE} MB")
    receive_all(f"{url.rstrip('/')}/models/{model.sha256}", model.size, part)
    if sha256_of(part) != model.sha256:
        part.unlink()
        raise OSError(f"{model.place.name}: what the channel gave is not the model (sha256 {model.sha256[:12]}…)")
    part.chmod(0o644)
    sync(part)
    part.replace(model.place)
    sync(model.place.parent)
    keep_receipt(model.place, model.sha256)


def require_disk_room(model: ModelOffered, part: Path) -> None:
    """Raises OSError when the file system has no room for what is missing."""
    disk = os.statvfs(part.parent)
    missing, free = model.size - bytes_there(part), disk.f_bavail * disk.f_frsize
    if missing + SPARE > free:
        raise OSError(
            f"{model.place}: {missing // MEGABYTE} MB to bring and {free // MEGABYTE} MB free, of which "
            f"{SPARE // MEGABYTE} must stay free; make room there"
        )


def receive_all(address: str, size: int, part: Path) -> None:
    """Receives until the part has its size. Raises OSError after TRIES tries that brought nothing."""
    fruitless = 0
    while (there := bytes_there(part)) < size:
        try:
            receive_rest(address, size, part)
        except (OSError, http.client.HTTPException) as error:
            fruitless = 0 if bytes_there(part) > there else fruitless + 1
            if fruitless == TRIES or (isinstance(error, HTTPError) and error.code in (403, 404, 410)):
                raise OSError(f"{address}: {error}") from None
            time.sleep(PAUSE)


def receive_rest(address: str, size: int, part: Path) -> None:
    """Receives what is missing of the part, over one connection. Raises OSError, HTTPException."""
    there = bytes_there(part)
    request = urllib.request.Request(address, headers={"Range": f"bytes={there}-"} if there else {})
    with urllib.request.urlopen(request, timeout=SILENCE) as answer, part.open("ab") as file:
        if answer.status != 206 and there:  # a server that knows no parts begins again
            file.truncate(there := 0)
        while there < size and (block := answer.read(min(BLOCK, size - there))):
            file.write(block)
            there += len(block)
    if there < size:
        raise OSError(f"the connection ended after {there} of {size} bytes")


def bytes_there(path: Path) -> int:
    """Bytes of a file; 0 for none."""
    return path.stat().st_size if path.exists() else 0
