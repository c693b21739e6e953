"""Models of any shape for tests of memory and speed: random weights in real quantizations, written directly.

What they say means nothing, but llama.cpp does the same work and takes the same memory as with a trained model of that
shape. Seeded, so that the same shape is the same file. The tokenizer is the smoke model's, padded.
"""

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType as Kind

from deploy.models.smoke import add_tokenizer, pieces

# Scales that keep weights near 0.02, as the 16 bits of an F16, and where in a block they lie: random bits there could
# be infinite. Layouts: ggml/src/ggml-common.h.
_SCALES = {
    Kind.Q4_0: (0x1800, (0,)),
    Kind.Q8_0: (0x0800, (0,)),
    Kind.Q4_K: (0x0400, (0, 2)),
    Kind.Q5_K: (0x0200, (0, 2)),
    Kind.Q6_K: (0x0100, (208,)),
    Kind.Q2_K: (0x1000, (80, 82)),
    Kind.Q3_K: (0x0400, (108,)),
}


@dataclass(frozen=True)
class Shape:
    """A llama's hyperparameters.

    `kind` is the type of its matrices, `wide` that of those that a mixture gives more bits; Q4_K and Q6_K make what
    llama-quantize calls Q4_K_M.
    """

    name: str
    kind: Kind
    wide: Kind
    width: int  # embedding length
    feed_forward: int
    layers: int
    heads: int
    heads_kv: int
    vocabulary: int  # tokens
    context: int  # tokens it says it was trained for
    tied: bool = False  # the token embedding is the output matrix too


def write(shape: Shape, path: Path) -> Path:
    """Writes the model to path; about 1 s per 500 MB."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(shape.name)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads_kv)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if shape.kind is Kind.F16 else gguf.LlamaFileType.GUESSED)
    known = pieces()
    padding = {f"<pad{number}>": gguf.TokenType.NORMAL for number in range(shape.vocabulary - len(known))}
    add_tokenizer(writer, known | padding)
    _add_weights(writer, shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_weights(writer: gguf.GGUFWriter, shape: Shape) -> None:
    """In the order of a converted file: output first, output_norm last."""
    random = np.random.default_rng(20)
    kv_width = shape.width // shape.heads * shape.heads_kv

    def matrix(name: str, rows: int, columns: int, kind: Kind) -> None:
        writer.add_tensor(f"{name}.weight", blocks(random, rows, columns, kind), raw_dtype=kind)

    def better(layer: int) -> Kind:
        """As use_more_bits() in src/llama-quant.cpp: the outer eighths of all layers, and every third between."""
        eighth = shape.layers // 8
        more = layer < eighth or layer >= 7 * shape.layers // 8 or (layer - eighth) % 3 == 2
        return shape.wide if more else shape.kind

    if not shape.tied:
        matrix("output", shape.vocabulary, shape.width, shape.wide)
    matrix("token_embd", shape.vocabulary, shape.width, shape.kind)
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}.{norm}.weight", np.ones(shape.width, np.float32))
        matrix(f"{block}.attn_q", shape.width, shape.width, shape.kind)
        matrix(f"{block}.attn_k", kv_width, shape.width, shape.kind)
        matrix(f"{block}.attn_v", kv_width, shape.width, better(layer))
        matrix(f"{block}.attn_output", shape.width, shape.width, shape.kind)
        matrix(f"{block}.ffn_gate", shape.feed_forward, shape.width, shape.kind)
        matrix(f"{block}.ffn_up", shape.feed_forward, shape.width, shape.kind)
        matrix(f"{block}.ffn_down", shape.width, shape.feed_forward, better(layer))
    writer.add_tensor("output_norm.weight", np.ones(shape.width, np.float32))


def blocks(random: np.random.Generator, rows: int, columns: int, kind: Kind) -> npt.NDArray[np.uint8]:
    """The bytes of a random matrix, one row of bytes per row. Columns must fill whole blocks."""
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    if kind is Kind.F16:
        bits = random.integers(0, 1 << 16, (rows, columns), np.uint16)
        return ((bits & 0x83FF) | 0x2400).view(np.uint8).reshape(rows, columns * 2)
    data = random.integers(0, 256, (rows, columns // weights, size), np.uint8)
    scale, places = _SCALES[kind]
    for place in places:
        data[:, :, place : place + 2] = (scale & 255, scale >> 8)
    return data.reshape(rows, -1)
