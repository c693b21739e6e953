"""The tensors and keys of families of models that keep conversations in other ways than a llama, for tests/shapes.py.

Names and sizes: load_arch_hparams() and load_arch_tensors() of src/models/*.cpp. Sizes are rows, columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tests.shapes import Shape

Sizes = dict[str, tuple[int, ...]]
STATE = 128  # numbers of a recurrent head
USED = 4  # experts per token
ALTUP, PER_LAYER, LAUREL = 4, 256, 64  # gemma3n: constants of src/llama-hparams.h


class Family(NamedTuple):
    """What makes files of one architecture; sizes of tensors by name, without `blk.N.` in a layer."""

    layer: Callable[[Shape, int], Sizes]
    keys: Callable[[Shape], dict[str, Any]] = lambda _: {}  # without the architecture's name
    whole: Callable[[Shape], Sizes] = lambda _: {}  # tensors of no layer


def attention(shape: Shape, queries: int = 1) -> Sizes:
    """Queries (`queries` times as many rows, where a gate is among them), keys, values, and what joins the heads."""
    joined, shared = shape.heads * shape.head, shape.heads_kv * shape.head
    return {
        "attn_norm.weight": (shape.width,),
        "attn_q.weight": (queries * joined, shape.width),
        "attn_k.weight": (shared, shape.width),
        "attn_v.weight": (shared, shape.width),
        "attn_output.weight": (shape.width, joined),
    }


def normed(shape: Shape) -> Sizes:
    """Norms of each head's queries and keys."""
    return {"attn_q_norm.weight": (shape.head,), "attn_k_norm.weight": (shape.head,)}


def feed_forward(shape: Shape) -> Sizes:
    return {
        "ffn_norm.weight": (shape.width,),
        "ffn_gate.weight": (shape.feed_forward, shape.width),
        "ffn_up.weight": (shape.feed_forward, shape.width),
        "ffn_down.weight": (shape.width, shape.feed_forward),
    }


def experts(shape: Shape) -> Sizes:
    """A feed-forward part for each expert, and the router."""
    wide, narrow = (
        (shape.experts, shape.feed_forward, shape.width),
        (shape.experts, shape.width, shape.feed_forward),
    )
    return {
        "ffn_gate_inp.weight": (shape.experts, shape.width),
        "ffn_gate_exps.weight": wide,
        "ffn_up_exps.weight": wide,
        "ffn_down_exps.weight": narrow,
    }


def expert_keys(shape: Shape) -> dict[str, Any]:
    used = {"expert_count": shape.experts, "expert_used_count": USED}
    return {**used, "expert_feed_forward_length": shape.feed_forward}


def gemma3(shape: Shape, _index: int) -> Sizes:
    after = {"post_attention_norm.weight": (shape.width,), "post_ffw_norm.weight": (shape.width,)}
    return attention(shape) | normed(shape) | feed_forward(shape) | after


def gemma3n(shape: Shape, index: int) -> Sizes:
    width = shape.width
    return gemma3(shape, index) | {
        "inp_gate.weight": (PER_LAYER, width),
        "proj.weight": (width, PER_LAYER),
        "post_norm.weight": (width,),
        "altup_correct_coef.weight": (ALTUP, ALTUP),
        "altup_correct_scale.weight": (width,),
        "altup_predict_coef.weight": (ALTUP * ALTUP, ALTUP),
        "altup_router.weight": (ALTUP, width),
        "altup_router_norm.weight": (width,),
        "laurel_l.weight": (LAUREL, width),
        "laurel_r.weight": (width, LAUREL),
        "laurel_post_norm.weight": (width,),
    }


def gemma3n_whole(shape: Shape) -> Sizes:
    width = shape.width
    return {
        "altup_proj.weight": (ALTUP - 1, width, width),
        "altup_unembd_proj.weight": (ALTUP - 1, width, width),
        "per_layer_token_embd.weight": (shape.vocabulary, PER_LAYER * shape.layers),
        "per_layer_model_proj.weight": (PER_LAYER * shape.layers, width),
        "per_layer_proj_norm.weight": (PER_LAYER,),
    }


def gpt_oss(shape: Shape, _index: int) -> Sizes:
    width, wide, count = shape.width, shape.feed_forward, shape.experts
    biases = {
        "attn_output.bias": (width,),
        "ffn_gate_inp.bias": (count,),
        "ffn_gate_exps.bias": (count, wide),
        "ffn_up_exps.bias": (count, wide),
        "ffn_down_exps.bias": (count, width),
    }
    norms = {"post_attention_norm.weight": (width,), "attn_sinks.weight": (shape.heads,)}
    return attention(shape) | experts(shape) | norms | biases


def qwen3moe(shape: Shape, _index: int) -> Sizes:
    return attention(shape) | normed(shape) | {"ffn_norm.weight": (shape.width,)} | experts(shape)


def qwen35(shape: Shape, index: int) -> Sizes:
    """Three layers with a state (gated delta net), then one with attention."""
    width, inner = shape.width, 2 * shape.width
    heads = inner // STATE
    mixed = inner + 2 * heads // 2 * STATE
    state = {
        "attn_norm.weight": (width,),
        "attn_qkv.weight": (mixed, width),
        "attn_gate.weight": (inner, width),
        "ssm_conv1d.weight": (mixed, 4),
        "ssm_dt.bias": (heads,),
        "ssm_a": (heads,),
        "ssm_beta.weight": (heads, width),
        "ssm_alpha.weight": (heads, width),
        "ssm_norm.weight": (STATE,),
        "ssm_out.weight": (width, inner),
    }
    attends = attention(shape, queries=2) | normed(shape)
    wide = {name: size for name, size in feed_forward(shape).items() if name != "ffn_norm.weight"}
    return (attends if index % 4 == 3 else state) | wide | {"post_attention_norm.weight": (width,)}


def ssm_keys(shape: Shape) -> dict[str, Any]:
    inner = 2 * shape.width
    sizes = {"ssm.inner_size": inner, "ssm.state_size": STATE, "ssm.conv_kernel": 4}
    return {**sizes, "ssm.time_step_rank": inner // STATE, "ssm.group_count": 1}


def qwen35_keys(shape: Shape) -> dict[str, Any]:
    halves = {"ssm.group_count": shape.width // STATE, "full_attention_interval": 4}
    return ssm_keys(shape) | halves | {"rope.dimension_sections": [11, 11, 10, 0]}


def mamba2(shape: Shape, _index: int) -> Sizes:
    width, inner = shape.width, 2 * shape.width
    heads, mixed = inner // STATE, inner + 2 * STATE
    return {
        "attn_norm.weight": (width,),
        "ssm_in.weight": (inner + mixed + heads, width),
        "ssm_conv1d.weight": (mixed, 4),
        "ssm_conv1d.bias": (mixed,),
        "ssm_dt.bias": (heads,),
        "ssm_a": (heads, 1),
        "ssm_d": (heads, 1),
        "ssm_norm.weight": (1, inner),
        "ssm_out.weight": (width, inner),
    }


def granitehybrid(shape: Shape, index: int) -> Sizes:
    return (attention(shape) if index % 4 == 3 else mamba2(shape, index)) | feed_forward(shape)


def lfm2(shape: Shape, index: int) -> Sizes:
    """Two layers with a short convolution, then one with attention."""
    width = shape.width
    convolved = {
        "attn_norm.weight": (width,),
        "shortconv.conv.weight": (width, 3),
        "shortconv.in_proj.weight": (3 * width, width),
        "shortconv.out_proj.weight": (width, width),
    }
    return (attention(shape) | normed(shape) if index % 3 == 2 else convolved) | feed_forward(shape)


def every(number: int) -> Callable[[Shape], dict[str, Any]]:
    """Heads in the last one of so many layers alone."""
    return lambda shape: {
        "attention.head_count_kv": [
            shape.heads_kv if index % number == number - 1 else 0 for index in range(shape.layers)
        ]
    }


def windowed(shape: Shape) -> dict[str, Any]:
    return {"attention.sliding_window": shape.window}


FAMILIES = {
    "llama": Family(lambda shape, _: attention(shape) | feed_forward(shape)),
    "gemma3": Family(gemma3, windowed),
    "gemma3n": Family(gemma3n, windowed, gemma3n_whole),
    "gpt-oss": Family(gpt_oss, lambda shape: windowed(shape) | expert_keys(shape)),
    "qwen3moe": Family(qwen3moe, expert_keys),
    "qwen35": Family(qwen35, qwen35_keys),
    "mamba2": Family(mamba2, ssm_keys),
    "granitehybrid": Family(granitehybrid, lambda shape: ssm_keys(shape) | every(4)(shape)),
    "lfm2": Family(lfm2, lambda shape: {"shortconv.l_cache": 3} | every(3)(shape)),
}
