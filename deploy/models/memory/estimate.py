"""How much memory llama-server takes at its peak (VmHWM) for one model, from the header alone.

Formulas from the pinned source, llama.cpp 0c1e57098, started as our launcher does (deploy/onboard/server/bounds.py).
docs/explanation/benchmarks.md has them beside measured values.

A repacked model lives on less than its peak: when memory is short, the kernel drops the originals, which are never read
again. What a model cannot do without, repacked or not, is its estimate with repack=False.
"""

from dataclasses import dataclass

from deploy.cpu import Cpu
from deploy.models.gguf.header import Tensor
from deploy.models.gguf.info import GgufInfo
from deploy.models.memory.layers import BIG_GRAPHS, Layer
from deploy.onboard.server.bounds import UBATCH
from deploy.onboard.server.config_keys import CHECKPOINTS, SPECULATIVE

CELLS = 256  # src/llama-context.cpp and src/llama-kv-cache-iswa.cpp pad to a multiple of this
F32 = 4  # bytes
F16 = 2
# Bytes per number of the cache: ggml-common.h, block_q8_0 and block_q4_0, so many numbers and a scale.
CACHE_BLOCK = 32
CACHE_BYTES = {"f16": 2.0, "q8_0": 34 / CACHE_BLOCK, "q4_0": 18 / CACHE_BLOCK}
MIB = 1 << 20

# Kinds of tensors by their numbers in ggml.h: the gguf package, which has the names, takes a tenth of a second.
# ggml/src/ggml-cpu/repack.cpp, ggml_repack_get_optimal_repack_type: what a build with dot products (sdot) copies into
# another order at load, and of what its rows must be a multiple. i8mm changes the order, not the choice. A build
# without dot products repacks nothing on arm64.
REPACKED = {
    **{2: 4, 8: 4, 41: 4, 20: 4, 39: 4},  # Q4_0 Q8_0 Q1_0 IQ4_NL MXFP4
    **{12: 8, 13: 8, 14: 8},  # Q4_K Q5_K Q6_K
}
# src/llama-arch.cpp, LLM_TENSOR_INFOS: matrices of which rows are taken (GET_ROWS) instead of being multiplied with.
LOOKED_UP = ("token_embd.weight", "position_embd.weight", "token_types.weight", "per_layer_token_embd.weight")

MIXED = ("ssm_in", "attn_qkv")  # what a layer with a state computes from a token, all at once

# Measured on arm64 with shapes that differ in one number each: pages of the binary, heap of an idle server, and what a
# token and a merge of the vocabulary take in its tables.
BINARY = 9_300_000
HEAP = 10_000_000
TOKEN = 110
MERGE = 120
# For each token of the vocabulary, while the next token of an answer is held against a grammar, a schema or a tool:
# 28.7 MB for 150016 tokens (llama_grammar_apply_impl in src/llama-grammar.cpp). One answer does so at a time.
FORM = 192
# common/ngram-mod.cpp: 2^22 numbers, for all conversations. Measured: the tables of each conversation.
GUESSES_TOGETHER = {"ngram-mod": 4 << 22}
GUESSES = {"ngram-map-k": 1_100_000, "ngram-map-k4v": 1_100_000}
CLIENTS = 6_000_000  # threads that answer, requests in flight, and what the allocator keeps of them
NODE = 430  # an operation of a graph: ggml_tensor_overhead(), and its places in the graph's lists


@dataclass(frozen=True)
class Serving:
    """How the model is served."""

    context_size: int  # tokens in all slots together; 0: as many as the model was trained for
    repack: bool  # the build repacks (see repacks), and --no-repack is not given
    batch_size: int = 512  # tokens
    at_once: int = UBATCH  # tokens that are computed at once
    whole: bool = False  # a text is read at once, for vectors or scores
    parallel: int = 4  # conversations at the same time
    checkpoints: int = CHECKPOINTS  # of each conversation
    kv_cache: str = "f16"
    prompt_cache: int = 0  # MiB
    speculative: str = "none"


@dataclass(frozen=True)
class Estimate:
    """Bytes of resident memory at the peak, by cause."""

    weights: int  # the part of the file that stays mapped
    dropped: int  # the part that is unmapped after loading
    repacked: int
    kv_cache: int
    states: int  # of recurrent layers
    checkpoints: int  # copies of states and windows
    prompts: int  # copies of conversations that have left the cache
    buffers: int
    base: int

    @property
    def kept(self) -> int:
        """Bytes of all that conversations leave behind."""
        return self.kv_cache + self.states + self.checkpoints + self.prompts

    @property
    def total(self) -> int:
        """The peak comes while serving; only when all of the file weighs more than cache and buffers, at loading."""
        return self.weights + self.repacked + self.base + max(self.kept + self.buffers, self.dropped)


def estimate_memory(info: GgufInfo, serving: Serving) -> Estimate:
    """What llama-server takes at its peak."""
    context = padded_tokens(serving.context_size or info.context_length)
    batch = min(context, serving.batch_size, serving.at_once)
    repacked = repacked_tensors(info.tensors) if serving.repack else ()
    mapped = mapped_bytes(info, repacked)
    return Estimate(
        weights=mapped,
        dropped=info.size - mapped,
        repacked=sum(tensor.size for tensor in repacked),
        kv_cache=sum(
            cache_bytes(layer, serving, cache_cells(layer, context, serving.parallel)) for layer in info.layers
        ),
        states=sum(F32 * layer.state * serving.parallel for layer in info.layers),
        checkpoints=sum(checkpoint_bytes(layer, context, serving) for layer in info.layers),
        prompts=serving.prompt_cache * MIB,
        buffers=buffer_bytes(info, context, batch, serving),
        base=base_bytes(info) + graph_bytes(info, batch) + guess_bytes(serving),
    )


def can_repack(cpu: Cpu) -> bool:
    """Whether the build for that CPU repacks: with dot products it does; i8mm comes with them."""
    return "sdot" in cpu.kernels


def repacked_tensors(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The tensors that take their size a second time in a build that repacks."""
    tied = all(tensor.name != "output.weight" for tensor in tensors)
    return tuple(tensor for tensor in tensors if _is_repacked(tensor, tied))


def _is_repacked(tensor: Tensor, tied: bool) -> bool:
    """A tied token embedding is loaded a second time, as the output matrix."""
    rows = REPACKED.get(tensor.kind)
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


def padded_tokens(tokens: int) -> int:
    """The number of tokens, rounded up to the next multiple of CELLS."""
    return -(-tokens // CELLS) * CELLS


def cache_bytes(layer: Layer, serving: Serving, tokens: int) -> int:
    """Bytes that so many tokens take in the cache of this layer."""
    return int(CACHE_BYTES[serving.kv_cache] * layer.cached * tokens)


def cache_cells(layer: Layer, context: int, slots: int) -> int:
    """Tokens that the cache of this layer has room for, zeroed at start, so resident: src/llama-kv-cache-iswa.cpp.

    A layer with a window has room for the window of each slot, and for the tokens that are computed at once.
    """
    return padded_tokens(min(context, layer.window * slots + UBATCH)) if layer.window else context


def checkpoint_bytes(layer: Layer, context: int, serving: Serving) -> int:
    """Bytes of the copies that all slots keep of this layer: of its states, and of its windows as far as filled."""
    slots = serving.parallel
    window = cache_bytes(layer, serving, min(layer.window * slots, context))
    return serving.checkpoints * (F32 * layer.state * slots + window)


def buffer_bytes(info: GgufInfo, context: int, batch: int, serving: Serving) -> int:
    """Bytes of the intermediate results of one batch; measured, and exact where the feed-forward part is the widest.

    Three rows of the widest part's width (up, gate, their product), four of the embedding's, the attention masks, and
    the batch quantized for a multiplication (ggml_graph_plan). Logits: computed where the rows were, and kept. What is
    read whole has scores of all its tokens with each other: all-MiniLM-L6-v2 at 512 tokens took 123.1 MB in the VM.
    """
    shape = info.hyperparameters
    heads = max(shape.head_count, default=0) * shape.key_length
    wide = max(shape.feed_forward_length, heads, recurrent_width(info))
    rows = batch * F32 * (3 * (wide + per_layer_width(info)) + 4 * stream_count(info) * shape.embedding_length)
    masks = {(layer.window > 0, cache_cells(layer, context, serving.parallel)) for layer in info.layers if layer.cached}
    mask = batch * F16 * sum(tokens for _, tokens in masks)
    quantized = batch * max(shape.feed_forward_length, shape.embedding_length, heads) * 34 // 32
    logits = output_count(serving) * shape.vocabulary * F32
    scores = 2 * F32 * max(shape.head_count, default=0) * batch**2 if serving.whole else 0
    return max(rows, logits) + mask + quantized + logits + scores


def output_count(serving: Serving) -> int:
    """For how many tokens probabilities are computed at once: the next one of each conversation, and its guesses."""
    return min(serving.batch_size, serving.parallel * (1 + SPECULATIVE[serving.speculative]))


def guess_bytes(serving: Serving) -> int:
    """Bytes of the tables in which the next tokens are looked up."""
    return GUESSES_TOGETHER.get(serving.speculative, 0) + GUESSES.get(serving.speculative, 0) * serving.parallel


def recurrent_width(info: GgufInfo) -> int:
    """Numbers per token of the widest result in a layer with a state: the rows of its widest matrix of MIXED."""
    stateful = {
        f"blk.{index}.{name}.weight" for index, layer in enumerate(info.layers) if layer.state for name in MIXED
    }
    return max((sum(tensor.shape[1:2]) for tensor in info.tensors if tensor.name in stateful), default=0)


def per_layer_width(info: GgufInfo) -> int:
    """Numbers of all layers' own embeddings of a token: gemma3n, gemma4."""
    return sum(sum(tensor.shape[1:2]) for tensor in info.tensors if tensor.name == "per_layer_model_proj.weight")


def stream_count(info: GgufInfo) -> int:
    """How many versions of a token's embedding are computed at once: more than 1 in gemma3n (altup)."""
    return 1 + sum(sum(tensor.shape[2:3]) for tensor in info.tensors if tensor.name == "altup_proj.weight")


def graph_bytes(info: GgufInfo, batch: int) -> int:
    """Bytes of the two graphs that llama-server holds, where they are too big to be covered by HEAP."""
    return 2 * NODE * max(40 * batch, 32 * info.n_tensors) if info.architecture in BIG_GRAPHS else 0


def base_bytes(info: GgufInfo) -> int:
    """Bytes that a server takes beside weights, cache and buffers: binary, heap, vocabulary, clients."""
    return (
        BINARY + HEAP + CLIENTS + (TOKEN + FORM) * info.hyperparameters.vocabulary + MERGE * info.hyperparameters.merges
    )
