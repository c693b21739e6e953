"""What a GGUF file says about itself: read from its header alone, in milliseconds for a 700 MB model.

The gguf package's GGUFReader builds objects for every vocabulary entry: 2.4 s and 200 MB of memory for a 32k
vocabulary with merges. Nothing here needs them, so arrays are stepped over; the package's tables say how.
"""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

from gguf.constants import (
    GGML_QUANT_SIZES,
    GGUF_DEFAULT_ALIGNMENT,
    GGMLQuantizationType,
    GGUFValueType,
    LlamaFileType,
)

from deploy.errors import BoardllamaError

MAGIC = b"GGUF"
VERSIONS = (2, 3)  # version 1 had 32-bit counts; llama.cpp does not load it either

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
class GgufInfo:
    """The facts that a deploy checks before it sends a model anywhere."""

    architecture: str
    name: str  # "" when the file gives none
    context_length: int  # tokens the model was trained for
    file_type: str  # quantization as users know it: "Q4_K_M", "F16"; "unknown" when the file does not say
    n_tensors: int
    size: int  # bytes, the whole file


def read(path: Path) -> GgufInfo:
    """Facts of the GGUF file at path.

    Raises BoardllamaError, in one line: no such file, not GGUF, big-endian, a version that llama.cpp does not load,
    truncated (in the header or in the last tensors), no context length.
    """
    try:
        with path.open("rb") as file:
            check_start(file.read(16), str(path))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Header(data, path).info()
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


class _Header:
    """One walk over the header. Positions are bytes from the start of the file."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self.data = data
        self.path = path
        self.at = len(MAGIC)

    def info(self) -> GgufInfo:
        try:
            n_tensors, n_keys = self._counts()
            keys = self._keys(n_keys)
            self._check_tensors(n_tensors, keys)
        except (struct.error, OverflowError, RecursionError, UnicodeDecodeError) as exc:
            raise self._error(f"the header breaks at byte {self.at} of {len(self.data)}: fetch it again") from exc
        return self._facts(keys, n_tensors)

    def _facts(self, keys: dict[str, Scalar], n_tensors: int) -> GgufInfo:
        architecture = str(keys.get("general.architecture", ""))
        context = keys.get(f"{architecture}.context_length")
        if not isinstance(context, int) or context <= 0:
            raise self._error(f"it has no {architecture or 'ARCHITECTURE'}.context_length: it is no language model")
        file_type = _file_type(keys.get("general.file_type"))
        name = str(keys.get("general.name", ""))
        return GgufInfo(architecture, name, context, file_type, n_tensors, len(self.data))

    def _counts(self) -> tuple[int, int]:
        version = self._u32()
        if version & 0xFFFF == 0:
            raise self._error("it is big-endian, and boards are little-endian: convert it with gguf-convert-endian")
        if version not in VERSIONS:
            raise self._error(f"it is GGUF version {version}, llama.cpp loads {VERSIONS}: convert the model again")
        return self._u64(), self._u64()

    def _keys(self, count: int) -> dict[str, Scalar]:
        keys: dict[str, Scalar] = {}
        for _ in range(count):
            name, kind = self._string(), self._u32()
            if kind == GGUFValueType.ARRAY:
                self._skip_array()
            else:
                keys[name] = self._value(kind)
        return keys

    def _check_tensors(self, count: int, keys: dict[str, Scalar]) -> None:
        """The header may be whole and the weights cut off: every tensor must end within the file."""
        ends = [self._tensor_end() for _ in range(count)]
        alignment = keys.get("general.alignment", GGUF_DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1:
            raise self._error(f"its general.alignment is {alignment!r}: convert the model again")
        start = -(-self.at // alignment) * alignment
        name, end = max(ends, key=lambda item: item[1], default=("", 0))
        if start + end > len(self.data):
            reach = f"tensor {name} ends at byte {start + end}, the file at {len(self.data)}"
            raise self._error(f"it is truncated ({reach}): fetch it again")

    def _tensor_end(self) -> tuple[str, int]:
        """Name, and the byte behind its data, counted from the start of all tensor data."""
        name = self._string()
        elements = 1
        for _ in range(self._u32()):
            elements *= self._u64()
        kind, offset = self._u32(), self._u64()
        if kind not in GGMLQuantizationType.__members__.values():
            return name, offset  # newer than our tables: llama.cpp decides
        block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        return name, offset + elements * block_bytes // block

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


def _file_type(value: Scalar | None) -> str:
    """The quantization's usual name: LlamaFileType.MOSTLY_Q4_K_M is "Q4_K_M"."""
    names = {member.value: member.name for member in LlamaFileType}
    name = names.get(value, "unknown") if isinstance(value, int) else "unknown"
    return name.removeprefix("MOSTLY_").removeprefix("ALL_")
