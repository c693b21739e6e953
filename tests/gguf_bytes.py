"""GGUF files byte by byte, for what the gguf package does not write: damage, oddities, other programs' ideas."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gguf import GGUFReader

Q4_K = 12
WIDTH = 256


class Matrix(NamedTuple):
    """A tensor; `size` in bytes, `at` its place among the weights where it is not the next one."""

    name: str | bytes
    shape: tuple[int, ...] = (WIDTH, 4)
    kind: int = Q4_K
    size: int = 4 * 144
    at: int | None = None


def text(value: str | bytes) -> bytes:
    """A string: its length, its bytes."""
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(thing: Any) -> bytes:
    """The kind of a value and the value: bool, int (of 32 bits, a large one of 64), str, bytes, or a list of them."""
    kind, body = typed(thing)
    return struct.pack("<I", kind) + body


def typed(thing: Any) -> tuple[int, bytes]:
    """The two apart, as lists need them."""
    if isinstance(thing, bool):
        return 7, struct.pack("<?", thing)
    if isinstance(thing, int):
        return (4, struct.pack("<I", thing)) if thing < 1 << 32 else (10, struct.pack("<Q", thing))
    if isinstance(thing, (str, bytes)):
        return 8, text(thing)
    kinds, bodies = zip(*map(typed, thing), strict=True)
    return 9, struct.pack("<IQ", kinds[0], len(thing)) + b"".join(bodies)


def place(matrix: Matrix, offset: int) -> bytes:
    """What the header says of one tensor."""
    shape = struct.pack(f"<I{len(matrix.shape)}Q", len(matrix.shape), *matrix.shape)
    return text(matrix.name) + shape + struct.pack("<IQ", matrix.kind, offset if matrix.at is None else matrix.at)


def gguf(
    keys: Mapping[str, Any] | Sequence[tuple[str | bytes, Any]],
    tensors: Sequence[Matrix] = (Matrix("token_embd.weight"),),
    version: int = 3,
    n_tensors: int | None = None,
    n_keys: int | None = None,
) -> bytes:
    """A whole file, its weights zeros; the counts as they are unless told otherwise."""
    pairs = list(keys.items()) if isinstance(keys, Mapping) else list(keys)
    body, offset = b"", 0
    for matrix in tensors:
        body += place(matrix, offset)
        offset += -(-matrix.size // 32) * 32
    counts = (len(tensors) if n_tensors is None else n_tensors, len(pairs) if n_keys is None else n_keys)
    head = b"GGUF" + struct.pack("<IQQ", version, *counts) + b"".join(text(k) + value(v) for k, v in pairs) + body
    return head + bytes(-len(head) % 32) + bytes(offset)


class Parts(NamedTuple):
    """What a file consists of: keys as they stand there, tensors with their weights."""

    keys: list[tuple[str | bytes, bytes]]
    tensors: list[tuple[Matrix, bytes]]

    def with_key(self, name: str | bytes, thing: Any) -> "Parts":
        """One key more, at the end."""
        return self._replace(keys=[*self.keys, (name, text(name) + value(thing))])

    def without_key(self, ending: str) -> "Parts":
        """All but the keys that end so."""
        return self._replace(keys=[key for key in self.keys if not str(key[0]).endswith(ending)])

    def with_other(self, name: str, thing: Any) -> "Parts":
        """Another value of a key."""
        return self.without_key(name).with_key(name, thing)

    def bytes(self, version: int = 3, alignment: int = 32) -> bytes:
        """The file."""
        body, weights = b"".join(key for _, key in self.keys), b""
        for matrix, data in self.tensors:
            body += place(matrix, len(weights))
            weights += data + bytes(-len(data) % alignment)
        head = b"GGUF" + struct.pack("<IQQ", version, len(self.tensors), len(self.keys)) + body
        return head + bytes(-len(head) % alignment) + weights


def parts_of(path: Path) -> Parts:
    """Of a file that the gguf package reads."""
    reader = GGUFReader(path)
    fields = [field for field in reader.fields.values() if not field.name.startswith("GGUF.")]
    return Parts(
        [(field.name, b"".join(part.tobytes() for part in field.parts)) for field in fields],
        [
            (Matrix(one.name, tuple(map(int, one.shape)), int(one.tensor_type)), one.data.tobytes())
            for one in reader.tensors
        ],
    )


def chat(architecture: str = "llama", **more: Any) -> dict[str, Any]:
    """The keys of a small chat model; `more` are keys of the architecture, with __ for a dot."""
    own = {"context_length": 4096, "block_count": 1, "embedding_length": WIDTH, "attention.head_count": 4}
    given = {name.replace("__", "."): thing for name, thing in more.items()}
    return {"general.architecture": architecture} | {f"{architecture}.{k}": v for k, v in (own | given).items()}
