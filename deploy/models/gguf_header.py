"""The header of a GGUF file: its keys and where its tensors lie, in milliseconds for a 700 MB model.

The gguf package's GGUFReader builds objects for every vocabulary entry: 2.4 s and 200 MB of memory for a 32k
vocabulary with merges. Nothing here needs them, so long arrays are stepped over; the package's tables say how.
"""

import math
import mmap
import struct
from dataclasses import dataclass, replace
from pathlib import Path

from gguf.constants import GGML_QUANT_SIZES, GGUF_DEFAULT_ALIGNMENT, GGMLQuantizationType, GGUFValueType

from deploy.errors import BoardllamaError

MAGIC = b"GGUF"
VERSIONS = (2, 3)  # version 1 had 32-bit counts; llama.cpp does not load it either
LONGEST_LIST = 1024  # values; per-layer lists are shorter, vocabularies longer

Scalar = int | float | bool | str

_SCALARS = {
    GGUFValueType.UINT8: "<B",
    GGUFValueType.INT8: "<b",
    GGUFValueType.UINT16: "<H",
    GGUFValueType.INT16: "<h",
    GGUFValueType.UINT32: "<I",
    GGUFValueType.INT32: "<i",
    GGUFValueType.FLOAT32: "<f",
    GGUFValueType.BOOL: "<?",
    GGUFValueType.UINT64: "<Q",
    GGUFValueType.INT64: "<q",
    GGUFValueType.FLOAT64: "<d",
}

# What people really get in place of a model, by its first bytes in lower case.
_LOOKALIKES = {
    b"<": "an HTML or XML page",
    b"version https://git-lfs": "a Git LFS pointer (the clone was made without git lfs)",
    b"{": "JSON text",
    b"pk\x03\x04": "a zip archive (PyTorch weights?)",
    b"\x1f\x8b": "a gzip archive",
    b"\x7felf": "an ELF program",
    b"ggjt": "a model in the format before GGUF",
    b"\0\0\0\0": "zeros (a file that was never filled)",
}


@dataclass(frozen=True)
class Tensor:
    """One tensor. Positions and sizes are bytes, `offset` counts from the start of the file."""

    name: str
    shape: tuple[int, ...]  # as ggml counts: columns, rows, then experts
    kind: int  # a GGMLQuantizationType, or one newer than our tables
    offset: int
    size: int

    @property
    def weights(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """Everything that a file says before its weights. Lists longer than LONGEST_LIST are only counted."""

    keys: dict[str, Scalar]
    lists: dict[str, tuple[Scalar, ...]]  # numbers per layer, mostly
    lengths: dict[str, int]  # of every list, in entries
    tensors: tuple[Tensor, ...]
    size: int  # bytes, the whole file


def read_header(path: Path) -> Header:
    """The header of the GGUF file at path, all tensors within the file.

    Raises BoardllamaError, in one line: no such file, not GGUF, big-endian, a version that llama.cpp does not load,
    truncated (in the header or in the last tensors).
    """
    try:
        with path.open("rb") as file:
            check_start(file.read(16), str(path))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Walk(data, path).header()
    except OSError as exc:
        raise BoardllamaError(f"{path} cannot be read ({exc.strerror}): give the path of a GGUF file") from exc


def check_start(head: bytes, label: str) -> None:
    """Raises BoardllamaError, saying what it looks like, unless head (the first bytes of a file) begins as GGUF."""
    if head[:4] == MAGIC:
        return
    if not head:
        raise BoardllamaError(f"{label} is empty, not a GGUF model: fetch it again")
    kinds = (kind for start, kind in _LOOKALIKES.items() if head.lstrip().lower().startswith(start[: len(head)]))
    kind = next(kinds, "something else")
    raise BoardllamaError(f"{label} is not a GGUF model: it begins with {head!r}, which looks like {kind}")


class _Walk:
    """One walk over the header. `at` counts bytes from the start of the file."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self.data = data
        self.path = path
        self.at = len(MAGIC)
        self.keys: dict[str, Scalar] = {}
        self.lists: dict[str, tuple[Scalar, ...]] = {}
        self.lengths: dict[str, int] = {}

    def header(self) -> Header:
        try:
            n_tensors, n_keys = self._counts()
            for _ in range(n_keys):
                self._key()
            tensors = self._tensors(n_tensors)
        except (struct.error, OverflowError, RecursionError, UnicodeDecodeError) as exc:
            raise self._error(f"the header breaks at byte {self.at} of {len(self.data)}: fetch it again") from exc
        return Header(self.keys, self.lists, self.lengths, tensors, len(self.data))

    def _counts(self) -> tuple[int, int]:
        version = self._u32()
        if version & 0xFFFF == 0:
            raise self._error("it is big-endian, and boards are little-endian: convert it with gguf-convert-endian")
        if version not in VERSIONS:
            raise self._error(f"it is GGUF version {version}, llama.cpp loads {VERSIONS}: convert the model again")
        return self._u64(), self._u64()

    def _key(self) -> None:
        name, kind = self._string(), self._u32()
        if kind == GGUFValueType.ARRAY:
            self._list(name)
        else:
            self.keys[name] = self._value(kind)

    def _tensors(self, count: int) -> tuple[Tensor, ...]:
        """The header may be whole and the weights cut off: every tensor must end within the file."""
        tensors = [self._tensor() for _ in range(count)]
        alignment = self.keys.get("general.alignment", GGUF_DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1:
            raise self._error(f"its general.alignment is {alignment!r}: convert the model again")
        start = -(-self.at // alignment) * alignment
        placed = tuple(replace(tensor, offset=start + tensor.offset) for tensor in tensors)
        last = max(placed, key=lambda tensor: tensor.offset + tensor.size, default=None)
        if last and last.offset + last.size > len(self.data):
            reach = f"tensor {last.name} ends at byte {last.offset + last.size}, the file at {len(self.data)}"
            raise self._error(f"it is truncated ({reach}): fetch it again")
        return placed

    def _tensor(self) -> Tensor:
        """Its offset counts from the start of all tensor data."""
        name = self._string()
        shape = tuple(self._u64() for _ in range(self._u32()))
        kind, offset = self._u32(), self._u64()
        if kind not in GGMLQuantizationType.__members__.values():
            return Tensor(name, shape, kind, offset, 0)  # newer than our tables: llama.cpp decides
        block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        return Tensor(name, shape, kind, offset, math.prod(shape) * block_bytes // block)

    def _list(self, name: str) -> None:
        """A list of the file's top level: counted, kept when it is short and of numbers, stepped over."""
        begin = self.at
        kind, self.lengths[name] = self._u32(), self._u64()
        if kind in _SCALARS and self.lengths[name] <= LONGEST_LIST:
            self.lists[name] = tuple(self._value(kind) for _ in range(self.lengths[name]))
        else:
            self.at = begin
            self._skip_array()

    def _value(self, kind: int) -> Scalar:
        return self._string() if kind == GGUFValueType.STRING else self._scalar(self._format(kind))

    def _skip_array(self) -> None:
        kind, count = self._u32(), self._u64()
        if kind == GGUFValueType.STRING:
            self._skip_strings(count)
        elif kind == GGUFValueType.ARRAY:
            for _ in range(count):
                self._skip_array()
        else:
            self.at += count * struct.calcsize(self._format(kind))

    def _skip_strings(self, count: int) -> None:
        """The hot loop: two passes over 32k to 256k short strings in a usual model."""
        length, data, at = struct.Struct("<Q").unpack_from, self.data, self.at
        for _ in range(count):
            at += 8 + length(data, at)[0]
        self.at = at

    def _format(self, kind: int) -> str:
        for known, layout in _SCALARS.items():
            if known == kind:
                return layout
        raise self._error(f"value type {kind} at byte {self.at} does not exist: the file is damaged, fetch it again")

    def _scalar(self, layout: str) -> Scalar:
        value: Scalar = struct.unpack_from(layout, self.data, self.at)[0]
        self.at += struct.calcsize(layout)
        return value

    def _u32(self) -> int:
        return int(self._scalar("<I"))

    def _u64(self) -> int:
        return int(self._scalar("<Q"))

    def _string(self) -> str:
        length = self._u64()
        if self.at + length > len(self.data):
            raise struct.error("a string ends beyond the file")
        self.at += length
        return self.data[self.at - length : self.at].decode()

    def _error(self, what: str) -> BoardllamaError:
        return BoardllamaError(f"{self.path} is not usable: {what}")
