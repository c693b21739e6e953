"""A file as a torrent: what BitTorrent programs need to exchange it. The format: BEP 3, "The BitTorrent Protocol"."""

import hashlib
import time
from pathlib import Path
from typing import TypeAlias

from deploy.debian.staging import ensure_folder
from deploy.paths import cache_dir

Value: TypeAlias = "int | bytes | list[Value] | dict[bytes, Value]"
# One hash for each: 20 bytes for each MiB are 13 kB for a model of 670 MB.
PIECE = 1 << 20


def bencode(value: Value) -> bytes:
    """A value in the encoding of BEP 3."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l%se" % b"".join(map(bencode, value))
    return b"d%se" % b"".join(bencode(key) + bencode(value[key]) for key in sorted(value))


def torrent_bytes(file: Path) -> bytes:
    """The torrent of a file, without a tracker and private: peers are found by a tracker alone (BEP 27)."""
    pieces = b""
    with file.open("rb") as source:
        while piece := source.read(PIECE):
            pieces += hashlib.sha1(piece).digest()
            time.sleep(0)  # the other greenlets of a run get a turn
    info: dict[bytes, Value] = {b"length": file.stat().st_size, b"name": b"model", b"piece length": PIECE}
    return bencode({b"info": info | {b"pieces": pieces, b"private": 1}})


def torrent_of(file: Path, sha256: str) -> Path:
    """The torrent of a file with that hash, in the cache; made first when it is not there: a second for each GB."""

    def write(new: Path) -> None:
        (new / "tree" / "model.torrent").write_bytes(torrent_bytes(file))

    return ensure_folder(cache_dir() / "torrents" / sha256[:16], "torrent", write) / "model.torrent"
