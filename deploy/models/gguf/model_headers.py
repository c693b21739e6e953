"""What the files of a model say together: a split model's header, and the memory of its projector and draft."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from deploy.models.gguf.header import Header, read_model_header
from deploy.models.gguf.info import GgufInfo, gguf_info_of
from deploy.models.memory.estimate import BINARY, CLIENTS, F32, HEAP, Serving, estimate_memory
from deploy.models.model import FileKind, Model

# Measured: a server that sees took 8.4 MB more than a blind one, with a projector of 70 KB.
PICTURES = 9_000_000


def read_weights_info(model: Model) -> GgufInfo:
    """Facts of the model's weights, in one file or several. Raises BoardllamaError, OSError."""
    paths = [file.origin.path for file in model.files_of(FileKind.WEIGHTS)]
    return gguf_info_of(joined_header([read_model_header(path) for path in paths]), paths[0])


def joined_header(headers: Sequence[Header]) -> Header:
    """The header of the model as if all parts were one file: the first has the keys, each has tensors of its own."""
    tensors, size = [], 0
    for header in headers:
        tensors += [replace(tensor, offset=tensor.offset + size) for tensor in header.tensors]
        size += header.size
    return replace(headers[0], tensors=tuple(tensors), size=size)


def companion_bytes(model: Model, serving: Serving) -> int:
    """Bytes of memory that the projector and the draft of a model take. Raises BoardllamaError, OSError."""
    return projector_bytes(model) + draft_bytes(model, serving)


def draft_bytes(model: Model, serving: Serving) -> int:
    """A draft is a model with a cache for the same context, in the same program. Its size alone until it is here."""
    total = 0
    for file in model.files_of(FileKind.DRAFT):
        here = file.origin.is_here
        whole = estimate_memory(draft_info(file.origin.path), serving).total if here else file.origin.size
        total += whole - (BINARY + HEAP + CLIENTS if here else 0)
    return total


def draft_info(path: Path) -> GgufInfo:
    """Facts of a draft. Raises BoardllamaError, OSError."""
    return gguf_info_of(read_model_header(path), path)


def projector_bytes(model: Model) -> int:
    """A projector is read into memory as a whole, and computes one picture at a time: rows of its widest layer.

    Its size alone until it is on the controller.
    """
    total = 0
    for file in model.files_of(FileKind.PROJECTOR):
        computed = picture_bytes(read_model_header(file.origin.path)) if file.origin.is_here else 0
        total += file.origin.size + computed + PICTURES
    return total


def picture_bytes(header: Header) -> int:
    """Bytes of the intermediate results for the largest picture of one size; scores of all patches with each other."""

    def number(key: str) -> int:
        value = header.keys.get(f"clip.vision.{key}", 0)
        return value if isinstance(value, int) and value > 0 else 0

    patches = (number("image_size") // max(1, number("patch_size"))) ** 2
    rows = patches * F32 * (4 * number("embedding_length") + 3 * number("feed_forward_length"))
    return rows + patches * patches * F32 * number("attention.head_count")
