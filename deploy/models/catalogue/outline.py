"""What memory depends on in a model that is not here yet: the numbers of its header, and its size.

Cache, states, buffers and vocabulary are estimated by the same formulas from the same numbers as for the file itself.
Of the tensors only the size of all of them is known: each counts as kept in memory, and each but a table of embeddings
as rearranged, which is the most that they can take. When the file is here, its own header counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.models.gguf.header import Header, Scalar, Tensor
from deploy.models.gguf.info import GgufInfo, gguf_info_of

Q4_K, F32 = 12, 0  # kinds of tensors by their numbers in ggml.h
NORM = 4  # bytes of a tensor that is neither multiplied with nor looked up
Numbers = int | tuple[int, ...]


@dataclass(frozen=True)
class Outline:
    """`numbers`: keys of the header without the architecture's name. `tokens`, `merges`: of the vocabulary.

    `rows`: rows of tensors whose width decides the size of buffers, by name (deploy/models/memory/estimate.py).
    `tables`: bytes of embeddings beside the tokens' own, of which rows are only taken.
    """

    architecture: str
    numbers: Mapping[str, Numbers]
    tokens: int
    merges: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    tables: int = 0

    @property
    def context_length(self) -> int:
        """Tokens that the model was trained for."""
        length = self.numbers["context_length"]
        assert isinstance(length, int)
        return length

    def info_of_size(self, size: int) -> GgufInfo:
        """The facts of a file of so many bytes with this header."""
        return gguf_info_of(self.header_of_size(size), Path("the catalogue"))

    def header_of_size(self, size: int) -> Header:
        """The header, with as few tensors as give the same sums."""
        named = {f"{self.architecture}.{key}": value for key, value in self.numbers.items()}
        keys = {key: value for key, value in named.items() if isinstance(value, int)}
        lists: dict[str, tuple[Scalar, ...]] = {key: value for key, value in named.items() if isinstance(value, tuple)}
        vocabulary = {"tokenizer.ggml.tokens": self.tokens, "tokenizer.ggml.merges": self.merges}
        lengths = {key: len(value) for key, value in lists.items()} | vocabulary
        architecture = {"general.architecture": self.architecture}
        return Header({**architecture, **keys}, lists, lengths, self._tensors(size), 0, size)

    def _tensors(self, size: int) -> tuple[Tensor, ...]:
        """Two small tensors that keep all between them in memory, as the norms of every layer do; and the weights."""
        weights = size - self.tables - 2 * NORM
        wide = [Tensor(name, (1, rows), F32, NORM, 0) for name, rows in self.rows.items()]
        return (
            Tensor("first_norm.weight", (1,), F32, 0, NORM),
            Tensor("weights.weight", (256, 8), Q4_K, NORM, weights),
            Tensor("per_layer_token_embd.weight", (256, 8), Q4_K, NORM + weights, self.tables),
            *wide,
            Tensor("last_norm.weight", (1,), F32, size - NORM, NORM),
        )
