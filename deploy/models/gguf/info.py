"""What a GGUF file says about itself, as far as a deploy asks: what it is, and what its size in memory depends on."""

from dataclasses import dataclass, field
from pathlib import Path

from deploy.errors import BoardllamaError
from deploy.models.gguf.facts import GgufFacts
from deploy.models.gguf.header import Header, Scalar, Tensor, read_model_header
from deploy.models.memory.layers import Layer, layers_of
from deploy.onboard.gguf.chat_models import part_count


@dataclass(frozen=True)
class Hyperparameters:
    """The numbers that decide the size of buffers, with the defaults of src/llama-model.cpp. A tuple has one per layer.

    A model without attention (recurrent) has no heads.
    """

    embedding_length: int
    feed_forward_length: int  # of the widest layer; of all experts that are in use together, in a layer with experts
    head_count: tuple[int, ...]
    key_length: int  # per head
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
    parts: int  # files that the model was split into; 0: it was not split
    size: int  # bytes, the whole file
    hyperparameters: Hyperparameters = field(repr=False, compare=False)
    tensors: tuple[Tensor, ...] = field(repr=False, compare=False)
    layers: tuple[Layer, ...] = field(repr=False, compare=False)


def read_gguf_info(path: Path) -> GgufInfo:
    """Facts of the GGUF file at path.

    Raises BoardllamaError, in one line, for a file that read_model_header refuses, or that is no language model.
    """
    return gguf_info_of(read_model_header(path), path)


def gguf_info_of(header: Header, path: Path) -> GgufInfo:
    """Facts from the header of the GGUF file at path. Raises BoardllamaError for a file that is no language model."""
    architecture = str(header.keys.get("general.architecture", ""))
    facts = GgufFacts(header, architecture)
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
        part_count(header),
        header.size,
        _read_hyperparameters(facts),
        header.tensors,
        layers_of(facts),
    )


def _read_hyperparameters(facts: GgufFacts) -> Hyperparameters:
    return Hyperparameters(
        embedding_length=facts.number("embedding_length"),
        feed_forward_length=_feed_forward(facts),
        head_count=facts.heads_by_layer,
        key_length=facts.number("attention.key_length", facts.head_size),
        vocabulary=facts.header.lengths.get("tokenizer.ggml.tokens", facts.number("vocab_size")),
        merges=facts.header.lengths.get("tokenizer.ggml.merges", 0),
    )


def _feed_forward(facts: GgufFacts) -> int:
    experts = facts.number("expert_feed_forward_length") * facts.number("expert_used_count")
    return max(facts.number("feed_forward_length"), experts, *facts.number_list("feed_forward_length"))


def _file_type(value: Scalar | None) -> str:
    """The quantization's usual name: LlamaFileType.MOSTLY_Q4_K_M is "Q4_K_M"."""
    from gguf.constants import LlamaFileType  # a tenth of a second, and few runs read a model

    names = {member.value: member.name for member in LlamaFileType}
    name = names.get(value, "unknown") if isinstance(value, int) else "unknown"
    return name.removeprefix("MOSTLY_").removeprefix("ALL_")
