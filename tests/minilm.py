"""all-MiniLM-L6-v2, an embedding model of 22 million weights: the GGUF that llama.cpp reads, of the publisher's files.

What conversion/bert.py of llama.cpp does, without torch. Only F32 is rounded to F16, so the bytes are the same on
every controller.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import gguf
import numpy as np
import numpy.typing as npt

LAYERS = 6
KEPT = ("position_embd.weight", "token_types.weight")  # F32, as every vector is
# Positions that are counted anyway, and a layer behind the embedding that llama.cpp has no use for.
LEFT_OUT = ("embeddings.position_ids", "pooler.")


def write_minilm(files: ZipFile, path: Path) -> None:
    """Writes the model to path; `files` holds model.safetensors and tokenizer.json."""
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_license("apache-2.0")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    add_shape(writer)
    add_wordpieces(writer, json.loads(files.read("tokenizer.json"))["model"]["vocab"])
    for name, weights in tensors(files.read("model.safetensors")):
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_shape(writer: gguf.GGUFWriter) -> None:
    """The numbers of its config.json and 1_Pooling/config.json."""
    writer.add_context_length(512)
    writer.add_embedding_length(384)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(1536)
    writer.add_head_count(12)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_token_type_count(2)


def add_wordpieces(writer: gguf.GGUFWriter, vocabulary: dict[str, int]) -> None:
    """llama.cpp marks the beginning of a word, where the publisher's `##` marks that none begins.

    The numbers of the control tokens are those that llama.cpp takes for this kind when none is said.
    """
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    control = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    pieces = [word if word in control else word[2:] if word.startswith("##") else "\u2581" + word for word in words]
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("jina-v2-en")  # as in the publisher's own GGUF; this kind of tokenizer does not ask
    writer.add_token_list(pieces)
    writer.add_token_types([gguf.TokenType.CONTROL if word in control else gguf.TokenType.NORMAL for word in words])


def tensors(safetensors: bytes) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Its tensors under llama.cpp's names. All are F32 (https://github.com/huggingface/safetensors#format)."""
    (head,) = struct.unpack_from("<Q", safetensors)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, LAYERS)
    for publishers, entry in json.loads(safetensors[8 : 8 + head]).items():
        if publishers == "__metadata__" or publishers.startswith(LEFT_OUT):
            continue
        begin, end = (8 + head + offset for offset in entry["data_offsets"])
        weights = np.frombuffer(safetensors[begin:end], np.float32).reshape(entry["shape"])
        name = names.get_name(publishers, (".weight", ".bias")) or publishers
        whole = weights.ndim == 1 or name in KEPT
        yield name, weights if whole else weights.astype(np.float16)
