"""The reader of GGUF headers, which boards have too (deploy/onboard/gguf/header.py), with the controller's errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.errors import BoardllamaError
from deploy.onboard.gguf import header
from deploy.onboard.gguf.header import MAGIC, GgufError, Header, Scalar, Tensor

__all__ = ["MAGIC", "Header", "Scalar", "Tensor", "check_gguf_start", "read_model_header"]


@contextmanager
def _as_ours() -> Iterator[None]:
    try:
        yield
    except GgufError as error:
        raise BoardllamaError(str(error)) from error


def read_model_header(path: Path) -> Header:
    """The header of the GGUF file at path, all tensors within the file. Raises BoardllamaError, in one line."""
    with _as_ours():
        return header.read_header(path)


def check_gguf_start(head: bytes, label: str) -> None:
    """Raises BoardllamaError unless `head`, the first bytes of a file, begins as GGUF, with what else it is."""
    with _as_ours():
        header.check_start(head, label)
