"""What a GGUF file says about itself, as far as a deploy asks: what it is, and what its size in memory depends on."""

from dataclasses import dataclass, field
from pathlib import Path

from gguf.constants import LlamaFileType

from deploy.errors import BoardllamaError
from deploy.models.gguf_header import Header, Scalar, Tensor, read_header
from deploy.onboard.served import parts


@dataclass(frozen=True)
class Hyperparameters:
    """The numbers that decide the size of cache and buffers; defaults as in src/llama-model.cpp. Lists: one per layer.

    A model without attention (recurrent) has no heads.
    """

    embedding_length: int
    feed_forward_length: int  # the widest layer's; of the experts in use together when it has some
    head_count: tuple[int, ...]
    head_count_kv: tuple[int, ...]
    key_length: int  # per head
    value_length: int  # per head; 0 where only keys are cached (multi-head latent attention)
    vocabulary: int  # tokens
    merges: int  # of a byte-pair vocabulary


@dataclass(frozen=True)
class GgufInfo:
    """The facts that a deploy checks before it sends a model anywhere."""

    architecture: str
    name: str  # "" when the file gives none
    context_length: int  # tokens the model was trained for
    file_type: str  # quantization as users know it: "Q4_K_M", "F16"; "unknown" when the file does not say
    n_tensors: int
    parts: int  # files that the model was split into; 0 for one that was not
    size: int  # bytes, the whole file
    hyperparameters: Hyperparameters = field(repr=False, compare=False)
    tensors: tuple[Tensor, ...] = field(repr=False, compare=False)


def read(path: Path) -> GgufInfo:
    """Facts of the GGUF file at path.

    Raises BoardllamaError, in one line, for a file that read_header refuses and for one that is no language model.
    """
    return facts_of(read_header(path), path)


def facts_of(header: Header, path: Path) -> GgufInfo:
    """The same, from the header that was read at path. Raises BoardllamaError for one that is no language model."""
    architecture = str(header.keys.get("general.architecture", ""))
    facts = _Facts(header, architecture)
    context = facts.number("context_length")
    if context <= 0:
        raise BoardllamaError(
            f"{path} is not usable: it has no {architecture or 'ARCHITECTURE'}.context_length: it is no language model"
        )
    return GgufInfo(
        architecture,
        str(header.keys.get("general.name", "")),
        context,
        _file_type(header.keys.get("general.file_type")),
        len(header.tensors),
        parts(header),
        header.size,
        facts.hyperparameters(),
        header.tensors,
    )


class _Facts:
    """Keys of one architecture. What a key does not say, or says as no number, is 0, so that damage is no crash."""

    def __init__(self, header: Header, architecture: str) -> None:
        self.header = header
        self.prefix = architecture

    def hyperparameters(self) -> Hyperparameters:
        layers = min(self.number("block_count"), 1 << 16)  # a damaged count must not fill the memory
        heads = self.per_layer("attention.head_count", layers)
        head_size = self.number("embedding_length") // max(1, *heads) if any(heads) else 0
        keys_only = self.number("attention.key_length_mla") > 0
        return Hyperparameters(
            embedding_length=self.number("embedding_length"),
            feed_forward_length=self._feed_forward(),
            head_count=heads,
            head_count_kv=self.per_layer("attention.head_count_kv", layers, heads),
            key_length=self.number("attention.key_length", head_size),
            value_length=0 if keys_only else self.number("attention.value_length", head_size),
            vocabulary=self.header.lengths.get("tokenizer.ggml.tokens", self.number("vocab_size")),
            merges=self.header.lengths.get("tokenizer.ggml.merges", 0),
        )

    def _feed_forward(self) -> int:
        experts = self.number("expert_feed_forward_length") * self.number("expert_used_count")
        return max(self.number("feed_forward_length"), experts, *self._list("feed_forward_length"))

    def number(self, key: str, default: int = 0) -> int:
        value = self.header.keys.get(f"{self.prefix}.{key}", default)
        return value if isinstance(value, int) and value >= 0 else default

    def per_layer(self, key: str, layers: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """A number for all layers or a list of them; 0 for a layer that has none."""
        values = self._list(key)
        if f"{self.prefix}.{key}" in self.header.keys:
            values = (self.number(key),) * layers
        return (values or default)[:layers]

    def _list(self, key: str) -> tuple[int, ...]:
        values = self.header.lists.get(f"{self.prefix}.{key}", ())
        return tuple(value if isinstance(value, int) and value >= 0 else 0 for value in values)


def _file_type(value: Scalar | None) -> str:
    """The quantization's usual name: LlamaFileType.MOSTLY_Q4_K_M is "Q4_K_M"."""
    names = {member.value: member.name for member in LlamaFileType}
    name = names.get(value, "unknown") if isinstance(value, int) else "unknown"
    return name.removeprefix("MOSTLY_").removeprefix("ALL_")
