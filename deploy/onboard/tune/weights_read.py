"""How many bytes of weights a token reads, by the headers of the model's files: what bounds its speed."""

from collections.abc import Iterable
from pathlib import Path

from ..gguf.header import Header, Tensor, read_header

# As LOOKED_UP of deploy/models/memory/estimate.py: of these matrices a token takes one row.
ROWS_TAKEN = ("token_embd.weight", "position_embd.weight", "token_types.weight", "per_layer_token_embd.weight")


def bytes_per_token(files: Iterable[Path]) -> int:
    """Bytes of weights that one token reads: of experts those that are used, of a table one row.

    A model without an output matrix reads its table of tokens as that. The cache of the conversation, which is small at
    its begin, is not counted. Raises GgufError.
    """
    headers = [read_header(file) for file in files]
    tensors = [tensor for header in headers for tensor in header.tensors]
    tied = all(tensor.name != "output.weight" for tensor in tensors)
    share = used_experts(headers[0])
    return sum(bytes_read(tensor, share, tied) for tensor in tensors)


def used_experts(header: Header) -> float:
    """The share of the experts that compute a token; 1 for a model without experts."""
    name = header.keys.get("general.architecture", "")
    there, used = (header.keys.get(f"{name}.expert_{what}count") for what in ("", "used_"))
    return used / there if isinstance(used, int) and isinstance(there, int) and 0 < used <= there else 1.0


def bytes_read(tensor: Tensor, share: float, tied: bool) -> int:
    """Bytes of one tensor that a token reads."""
    if tensor.name in ROWS_TAKEN and not (tied and tensor.name == "token_embd.weight"):
        return tensor.size // max(1, tensor.weights // tensor.shape[0]) if tensor.shape else 0
    return int(tensor.size * share) if "_exps" in tensor.name else tensor.size
