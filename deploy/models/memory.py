"""How much memory llama-server takes at its peak (VmHWM) for one model, from the header alone.

Formulas from the pinned source, llama.cpp 0c1e57098, started as our launcher does: mmap, flash attention, F16 cache,
four slots that share it, no prompt cache in memory. docs/benchmarks.md has them beside measured values.

More than a repacked model lives on: when memory is short, the kernel drops the originals, which are never read again.
Estimated with repack=False, a model's need is what it cannot do without either way.

An upper bound, unmeasured, where layers keep less than all tokens (sliding windows, recurrent layers); what
llama-server saves for such models between requests (context checkpoints) comes on top.
"""

from dataclasses import dataclass

from gguf.constants import GGMLQuantizationType as Kind

from deploy.cpu import Cpu
from deploy.models.gguf_header import Tensor
from deploy.models.gguf_info import GgufInfo

SLOTS = 4  # tools/server/server.cpp: what --parallel -1, the default, becomes
UBATCH = 512  # tokens computed at once; --ubatch-size, default in common/common.h
CELLS = 256  # src/llama-context.cpp pads the context to a multiple of this
F16, F32 = 2, 4  # bytes

# ggml/src/ggml-cpu/repack.cpp, ggml_repack_get_optimal_repack_type: what a build with dot products (sdot) copies into
# another order at load, and of what its rows must be a multiple. i8mm changes the order, not the choice. A build
# without dot products repacks nothing on arm64.
REPACKED = {
    Kind.Q4_0: 4,
    Kind.Q8_0: 4,
    Kind.Q1_0: 4,
    Kind.IQ4_NL: 4,
    Kind.MXFP4: 4,
    Kind.Q4_K: 8,
    Kind.Q5_K: 8,
    Kind.Q6_K: 8,
}
# src/llama-arch.cpp, LLM_TENSOR_INFOS: matrices of which rows are taken (GET_ROWS) instead of being multiplied with.
LOOKED_UP = ("token_embd.weight", "position_embd.weight", "token_types.weight", "per_layer_token_embd.weight")

# Measured on arm64 with shapes that differ in one number each: pages of the binary, heap of an idle server, and what a
# token and a merge of the vocabulary take in its tables.
BINARY = 9_300_000
HEAP = 10_000_000
TOKEN = 110
MERGE = 120


@dataclass(frozen=True)
class Serving:
    """How the model is served."""

    context_size: int  # tokens in all slots together; 0: as many as the model was trained for
    repack: bool  # the build repacks (see repacks), and --no-repack is not given
    batch_size: int = 512  # tokens


@dataclass(frozen=True)
class Estimate:
    """Bytes of resident memory at the peak, by cause."""

    weights: int  # the part of the file that stays mapped
    dropped: int  # the part that is unmapped after loading
    repacked: int
    kv_cache: int
    buffers: int
    base: int

    @property
    def total(self) -> int:
        """The peak comes while serving; only when all of the file weighs more than cache and buffers, at loading."""
        return self.weights + self.repacked + self.base + max(self.kv_cache + self.buffers, self.dropped)


def estimate(info: GgufInfo, serving: Serving) -> Estimate:
    """What llama-server takes at its peak."""
    context = -(-(serving.context_size or info.context_length) // CELLS) * CELLS
    batch = min(context, serving.batch_size, UBATCH)
    repacked = repacked_tensors(info.tensors) if serving.repack else ()
    mapped = mapped_bytes(info, repacked)
    return Estimate(
        weights=mapped,
        dropped=info.size - mapped,
        repacked=sum(tensor.size for tensor in repacked),
        kv_cache=kv_cache(info, context),
        buffers=buffers(info, context, batch),
        base=base(info),
    )


def repacks(cpu: Cpu) -> bool:
    """Whether the build for that CPU repacks: with dot products it does; i8mm comes with them."""
    return "sdot" in cpu.kernels


def repacked_tensors(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Those that take their size a second time when the build repacks."""
    tied = all(tensor.name != "output.weight" for tensor in tensors)
    return tuple(tensor for tensor in tensors if _is_repacked(tensor, tied))


def _is_repacked(tensor: Tensor, tied: bool) -> bool:
    """A tied token embedding is loaded a second time, as the output matrix."""
    rows = {kind.value: multiple for kind, multiple in REPACKED.items()}.get(tensor.kind)
    multiplied = tensor.name not in LOOKED_UP or (tied and tensor.name == "token_embd.weight")
    return rows is not None and multiplied and 2 <= len(tensor.shape) <= 3 and tensor.shape[1] % rows == 0


def mapped_bytes(info: GgufInfo, repacked: tuple[Tensor, ...]) -> int:
    """What stays mapped: from the first tensor that is used in place to the end of the last one.

    src/llama-model-loader.cpp, end of load_all_data: what lies before and behind it is unmapped, gaps are not.
    """
    tied = {tensor.name for tensor in repacked} - {"token_embd.weight"}
    kept = [tensor for tensor in info.tensors if tensor.name not in tied]
    if not kept:
        return 0
    return max(tensor.offset + tensor.size for tensor in kept) - min(tensor.offset for tensor in kept)


def kv_cache(info: GgufInfo, context: int) -> int:
    """src/llama-kv-cache.cpp: keys and values of every layer for every token, zeroed at start, so resident."""
    shape = info.hyperparameters
    return F16 * context * sum(shape.head_count_kv) * (shape.key_length + shape.value_length)


def buffers(info: GgufInfo, context: int, batch: int) -> int:
    """Intermediate results of one batch, the widest of which stand in the feed-forward part; measured, and exact there.

    Three rows of its width (up, gate, their product), four of the embedding's, the attention mask, and the batch
    quantized for a multiplication (ggml_graph_plan). Logits: computed, and kept for each slot.
    """
    shape = info.hyperparameters
    heads = max(shape.head_count, default=0) * shape.key_length
    wide = max(3 * shape.feed_forward_length, 3 * heads)
    rows = batch * F32 * (wide + 4 * shape.embedding_length)
    mask = batch * context * F16
    quantized = batch * max(shape.feed_forward_length, shape.embedding_length, heads) * 34 // 32
    logits = SLOTS * shape.vocabulary * F32
    return rows + mask + quantized + logits


def base(info: GgufInfo) -> int:
    """What a server takes beside its model's numbers: its own pages, heap and vocabulary."""
    return BINARY + HEAP + TOKEN * info.hyperparameters.vocabulary + MERGE * info.hyperparameters.merges
