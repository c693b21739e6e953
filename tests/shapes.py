"""Models of any shape for tests of memory and speed: random weights in real quantizations, written directly.

What they say means nothing, but llama.cpp does the same work and takes the same memory as with a trained model of that
shape. Seeded, so that the same shape is the same file. The tokenizer is the smoke model's, padded.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType as Kind

from deploy.models.smoke_writer import add_tokenizer, vocabulary_pieces
from tests.families import FAMILIES

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
    Kind.MXFP4: (0x007A, (0,)),  # 8 bits
}
NORMS = {"lfm2": "token_embd_norm.weight"}  # the last norm, where it has another name


@dataclass(frozen=True)
class Shape:
    """A model's hyperparameters, a llama's unless `architecture` is another of tests/families.py.

    `kind` is the type of its matrices, `wide` that of those that a mixture gives more bits; Q4_K and Q6_K make what
    llama-quantize calls Q4_K_M.
    """

    name: str
    kind: Kind
    wide: Kind
    width: int  # embedding length
    feed_forward: int  # of one expert, where there are some
    layers: int
    heads: int
    heads_kv: int
    vocabulary: int  # tokens
    context: int  # tokens it says it was trained for
    tied: bool = False  # the token embedding is the output matrix too
    architecture: str = "llama"
    head_size: int = 0  # 0: the width in equal parts
    window: int = 0  # tokens
    experts: int = 0

    @property
    def head(self) -> int:
        """Numbers of one head."""
        return self.head_size or self.width // max(1, self.heads)

    @property
    def keys(self) -> dict[str, Any]:
        """What the header says of it."""
        sizes = {"context_length": self.context, "embedding_length": self.width, "block_count": self.layers}
        heads = {"attention.head_count": self.heads, "attention.head_count_kv": self.heads_kv}
        lengths = {"attention.key_length": self.head, "attention.value_length": self.head}
        rest = {"feed_forward_length": self.feed_forward, "attention.layer_norm_rms_epsilon": 1e-5}
        rope = {"rope.dimension_count": self.head, "vocab_size": self.vocabulary}
        return {**sizes, **heads, **lengths, **rest, **rope, **FAMILIES[self.architecture].keys(self)}

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Rows and columns by name, in the order of a converted file: output first, output_norm last."""
        vocabulary = (self.vocabulary, self.width)
        family, norm = FAMILIES[self.architecture], NORMS.get(self.architecture, "output_norm.weight")
        first = {} if self.tied else {"output.weight": vocabulary}
        sizes = {**first, "token_embd.weight": vocabulary, **family.whole(self)}
        for index in range(self.layers):
            sizes |= {f"blk.{index}.{name}": size for name, size in family.layer(self, index).items()}
        return {**sizes, norm: (self.width,)}

    def kind_of(self, name: str, size: tuple[int, ...]) -> Kind:
        """The type of a tensor: F32 for what is no matrix of whole blocks, is added, or chooses (the router)."""
        rows, columns = size[-2] if len(size) > 1 else 1, size[-1]
        whole = rows >= 16 and columns % gguf.GGML_QUANT_SIZES[self.kind][0] == 0
        if not whole or name.endswith(".bias") or ".ffn_gate_inp." in name:
            return Kind.F32
        better = name == "output.weight" or (
            any(part in name for part in (".attn_v.", ".ffn_down.")) and self._gets_more(int(name.split(".")[1]))
        )
        return self.wide if better else self.kind

    def _gets_more(self, layer: int) -> bool:
        """As use_more_bits() in src/llama-quant.cpp: the outer eighths of all layers, and every third between."""
        eighth = self.layers // 8
        return layer < eighth or layer >= 7 * self.layers // 8 or (layer - eighth) % 3 == 2


# In Q4_K_M, as the reference serves it.
TINYLLAMA = Shape("tinyllama", Kind.Q4_K, Kind.Q6_K, 2048, 5632, 22, 32, 4, 32000, 2048)


def write(shape: Shape, path: Path, tensors_per_file: int = 0) -> Path:
    """Writes the model to path; about 1 s per 500 MB. Returns the path, or that of the first part of a split one."""
    writer = gguf.GGUFWriter(path, shape.architecture, split_max_tensors=tensors_per_file)
    writer.add_name(shape.name)
    for key, value in shape.keys.items():
        add = {int: writer.add_uint32, float: writer.add_float32}.get(type(value), writer.add_array)
        add(f"{shape.architecture}.{key}", value)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if shape.kind is Kind.F16 else gguf.LlamaFileType.GUESSED)
    known = vocabulary_pieces()
    padding = {f"<pad{number}>": gguf.TokenType.NORMAL for number in range(shape.vocabulary - len(known))}
    add_tokenizer(writer, known | padding)
    _add_weights(writer, shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return min(path.parent.glob(f"{path.stem}-00001-of-*.gguf")) if tensors_per_file else path


def _add_weights(writer: gguf.GGUFWriter, shape: Shape) -> None:
    random = np.random.default_rng(20)
    for name, size in shape.tensors.items():
        kind = shape.kind_of(name, size)
        if kind is Kind.F32:
            # A state decays: its rate is below 0.
            writer.add_tensor(name, np.full(size, -1 if name.endswith(".ssm_a") else 1, np.float32))
            continue
        matrix = blocks(random, math.prod(size[:-1]), size[-1], kind)
        writer.add_tensor(name, matrix.reshape(*size[:-1], -1), raw_dtype=kind)


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
