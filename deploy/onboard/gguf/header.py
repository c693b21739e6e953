"""The header of a GGUF file: its keys and where its tensors lie, in milliseconds for a 700 MB model.

The gguf package's GGUFReader builds objects for every vocabulary entry: 2.4 s and 200 MB of memory for a 32k
vocabulary with merges. Nothing here needs them, so long arrays are stepped over. What llama.cpp refuses to read
(gguf_init_from_reader in ggml/src/gguf.cpp) is refused here, and nothing else; chat_models.py judges where tensors lie.
"""

import math
import mmap
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..spelling import printable_text
from .kinds import ALIGNMENT, ARRAY, BLOCKS, DIMENSIONS, LONGEST_NAME, LOOKALIKES, MOST_ENTRIES, SCALARS, STRING

MAGIC = b"GGUF"
VERSIONS = (2, 3)  # version 1 had 32-bit counts; llama.cpp does not load it either
LONGEST_LIST = 1024  # values; per-layer lists are shorter, vocabularies longer
AGAIN = "the file is damaged, fetch it again"

Scalar = int | float | bool | str


class GgufError(Exception):
    """A file that llama.cpp does not read as GGUF. The message is one line."""


class Truncated(GgufError):
    """The header of the file is whole, its weights are not."""


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file. Positions and sizes in bytes; `offset` counts from the start of the file."""

    name: str
    shape: tuple[int, ...]  # as ggml counts: columns, rows, then experts
    kind: int  # a key of BLOCKS, or one that this llama.cpp does not read
    offset: int
    size: int  # 0 for such a kind

    @property
    def weights(self) -> int:
        """How many numbers the tensor holds."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """Everything that a file says before its weights. Lists longer than LONGEST_LIST are only counted."""

    keys: dict[str, Scalar]
    lists: dict[str, tuple[Scalar, ...]]  # numbers per layer, mostly
    lengths: dict[str, int]  # of every list, in entries
    tensors: tuple[Tensor, ...]
    start: int  # byte of the file where the weights begin
    size: int  # bytes, the whole file

    @property
    def alignment(self) -> int:
        """Bytes of which each tensor's place is a multiple."""
        return int(self.keys.get("general.alignment", ALIGNMENT))


def read_header(path: Path) -> Header:
    """The header of the GGUF file at path, all tensors within the file.

    Raises GgufError: no such file, not GGUF, big-endian, a version that llama.cpp does not load, damaged. Raises
    Truncated when only the last tensors are cut off.
    """
    try:
        with path.open("rb") as file:
            check_start(file.read(16), str(path))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _HeaderReader(data, path).read_header()
    except OSError as exc:
        raise GgufError(f"{path} cannot be read ({exc.strerror}): give the path of a GGUF file") from exc


def check_start(head: bytes, label: str) -> None:
    """Raises GgufError, with what the file looks like, unless `head`, its first bytes, begins as GGUF."""
    if head[:4] == MAGIC:
        return
    if not head:
        raise GgufError(f"{label} is empty, not a GGUF model: fetch it again")
    if MAGIC.startswith(head):
        raise GgufError(f"{label} is not usable: it ends after {len(head)} bytes: fetch it again")
    flags = re.DOTALL | re.IGNORECASE
    kind = next((kind for start, kind in LOOKALIKES.items() if re.match(start, head, flags)), "something else")
    raise GgufError(f"{label} is not a GGUF model: it begins with {head!r}, which looks like {kind}")


class _HeaderReader:
    """Reads a header once, from its start to its end. `at` counts bytes from the start of the file."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self.data = data
        self.path = path
        self.at = len(MAGIC)
        self.keys: dict[str, Scalar] = {}
        self.lists: dict[str, tuple[Scalar, ...]] = {}
        self.lengths: dict[str, int] = {}

    def read_header(self) -> Header:
        try:
            n_tensors, n_keys = self._read_counts()
            for _ in range(n_keys):
                self._read_key()
            tensors, start = self._read_tensors(n_tensors)
        except (struct.error, OverflowError) as exc:
            raise self._error(f"the header breaks at byte {self.at} of {len(self.data)}: fetch it again") from exc
        return Header(self.keys, self.lists, self.lengths, tensors, start, len(self.data))

    def _read_counts(self) -> tuple[int, int]:
        version = self._u32()
        if version & 0xFFFF == 0:
            raise self._error("it is big-endian, and boards are little-endian: convert it with gguf-convert-endian")
        if version not in VERSIONS:
            raise self._error(f"it is GGUF version {version}, llama.cpp loads {VERSIONS}: convert the model again")
        return self._u64(), self._u64()

    def _read_key(self) -> None:
        name, kind = self._read_string(), self._u32()
        if not name or name in self.keys or name in self.lengths:
            raise self._error(f"it has the key {name!r} " + (f"twice: {AGAIN}" if name else f"without a name: {AGAIN}"))
        if kind == ARRAY:
            self._read_list(name)
        else:
            self.keys[name] = self._read_value(kind)

    def _read_tensors(self, count: int) -> tuple[tuple[Tensor, ...], int]:
        """The tensors, and the byte at which their weights begin.

        The header may be whole and the weights cut off: every tensor must end within the file.
        """
        tensors = list(self._distinct_tensors(count))
        alignment = self.keys.get("general.alignment", ALIGNMENT)
        if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
            raise self._error(f"its general.alignment is {alignment!r}, no power of two: convert the model again")
        start = -(-self.at // alignment) * alignment
        if tensors and start % ALIGNMENT:
            raise self._error(f"its weights begin at byte {start}, no multiple of {ALIGNMENT}: convert the model again")
        placed = tuple(replace(tensor, offset=start + tensor.offset) for tensor in tensors)
        last = max(placed, key=lambda tensor: tensor.offset + tensor.size, default=None)
        if last and last.offset + last.size > len(self.data):
            reach = f"tensor {last.name!r} ends at byte {last.offset + last.size}, the file at {len(self.data)}"
            raise Truncated(f"{self.path} is not usable: it is truncated ({reach}): fetch it again")
        return placed, start

    def _distinct_tensors(self, count: int) -> Iterator[Tensor]:
        """The tensors, up to the second of a name: a file of zeros reads as very many tensors without a name."""
        names = set()
        for _ in range(count):
            tensor = self._read_tensor()
            if tensor.name in names:
                raise self._error(f"it has two tensors of one name: {AGAIN}")
            names.add(tensor.name)
            yield tensor

    def _read_tensor(self) -> Tensor:
        """A tensor. Its offset still counts from the start of all weights."""
        begin = self.at + _U64.size
        name, size, dimensions = self._read_string(), self.at - begin, self._u32()
        if size > LONGEST_NAME or dimensions > DIMENSIONS:
            raise self._error(f"tensor {name[:80]!r} of {dimensions} dimensions is none: {AGAIN}")
        shape = tuple(self._u64() for _ in range(dimensions))
        kind, offset = self._u32(), self._u64()
        block, block_bytes = BLOCKS.get(kind, (1, 0))
        if (shape or (1,))[0] % block or math.prod(map(lambda length: max(1, length), shape)) >> 63:
            raise self._error(f"tensor {name!r} has the shape {shape}, in blocks of {block}: {AGAIN}")
        return Tensor(name, shape, kind, offset, math.prod(shape) * block_bytes // block)

    def _read_list(self, name: str) -> None:
        """Counts a list. Keeps a short list of numbers, steps over any other."""
        kind, count = self._u32(), self._u64()
        self.lengths[name] = count
        if kind == ARRAY:
            raise self._error(f"{name} is a list of lists, which llama.cpp does not read: convert the model again")
        if count > MOST_ENTRIES:
            raise self._error(f"{name} has {count} entries: {AGAIN}")
        if kind == STRING:
            self._skip_strings(count)
        elif count <= LONGEST_LIST:
            self.lists[name] = tuple(self._read_value(kind) for _ in range(count))
        else:
            self.at += count * self._layout_of(kind).size

    def _skip_strings(self, count: int) -> None:
        """The hot loop: 32k to 256k short strings, twice in a usual model."""
        length, data, at = _U64.unpack_from, self.data, self.at
        if count > (len(data) - at) // _U64.size:
            raise struct.error("a list ends beyond the file")
        for _ in range(count):
            at += 8 + length(data, at)[0]
        self.at = at

    def _read_value(self, kind: int) -> Scalar:
        return self._read_string() if kind == STRING else self._read_scalar(self._layout_of(kind))

    def _layout_of(self, kind: int) -> struct.Struct:
        if kind not in SCALARS:
            raise self._error(f"value type {kind} at byte {self.at} does not exist: {AGAIN}")
        return SCALARS[kind]

    def _read_scalar(self, layout: struct.Struct) -> Scalar:
        value: Scalar = layout.unpack_from(self.data, self.at)[0]
        self.at += layout.size
        return value

    def _u32(self) -> int:
        return int(self._read_scalar(_U32))

    def _u64(self) -> int:
        return int(self._read_scalar(_U64))

    def _read_string(self) -> str:
        """The text. llama.cpp takes any bytes; bytes that are no UTF-8 come back as \\xe9."""
        length = self._u64()
        if self.at + length > len(self.data):
            raise struct.error("a string ends beyond the file")
        self.at += length
        return self.data[self.at - length : self.at].decode(errors="backslashreplace")

    def _error(self, what: str) -> GgufError:
        return GgufError(f"{self.path} is not usable: {printable_text(what)}")


_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
