"""The headers of the catalogue's models in numbers: config.json of their publishers, and what converters make of it."""

from deploy.models.catalogue.outline import Numbers, Outline


def qwen3_outline(width: int, wide: int, context: int) -> Outline:
    """A Qwen3 of 28 layers, with heads of 128 numbers."""
    return Outline("qwen3", attention_numbers(28, width, wide, 16, 8, 128, context), tokens=151_936, merges=151_387)


def qwen35_outline(layers: int, width: int, wide: int, heads: int, heads_kv: int, inner: int) -> Outline:
    """A Qwen3.5's: of four layers three keep a state, and one has attention."""
    state = {"ssm.conv_kernel": 4, "ssm.state_size": 128, "ssm.group_count": 16, "ssm.inner_size": inner}
    numbers = attention_numbers(layers, width, wide, heads, heads_kv, 256, 262_144)
    mixed = {"blk.0.attn_qkv.weight": inner + 2 * 16 * 128}
    interval = {"full_attention_interval": 4}
    return Outline("qwen35", {**numbers, **state, **interval}, 248_320, 247_587, rows=mixed)


def attention_numbers(
    layers: int, width: int, wide: int, heads: int, heads_kv: int, head: int, context: int
) -> dict[str, Numbers]:
    """The numbers of a header that models with attention have."""
    sizes = {"block_count": layers, "embedding_length": width, "feed_forward_length": wide, "context_length": context}
    head_counts = {"attention.head_count": heads, "attention.head_count_kv": heads_kv}
    return {**sizes, **head_counts, "attention.key_length": head, "attention.value_length": head}


SMOLLM2 = Outline("llama", attention_numbers(30, 576, 1536, 9, 3, 64, 8192), tokens=49_152, merges=48_900)
TINYLLAMA = Outline("llama", attention_numbers(22, 2048, 5632, 32, 4, 64, 2048), tokens=32_000, merges=61_249)
LFM2 = Outline(
    "lfm2",
    {
        **attention_numbers(16, 2048, 8192, 32, 8, 64, 128_000),
        "attention.head_count_kv": (0, 0, 8, 0, 0, 8, 0, 0, 8, 0, 8, 0, 8, 0, 8, 0),
        "shortconv.l_cache": 3,
    },
    tokens=65_536,
    merges=63_683,
)
GEMMA4_E2B = Outline(
    "gemma4",
    {
        **attention_numbers(35, 1536, 12_288, 8, 1, 512, 131_072),
        **{"attention.key_length_swa": 256, "attention.value_length_swa": 256},
        "attention.sliding_window": 512,
        "attention.sliding_window_pattern": (1, 1, 1, 1, 0) * 7,
        "attention.shared_kv_layers": 20,
    },
    tokens=262_144,
    merges=514_906,
    rows={"per_layer_model_proj.weight": 35 * 256},
    tables=262_144 * 35 * 256 * 18 // 32,  # Q4_0: 18 bytes for 32 numbers
)
GPT_OSS_20B = Outline(
    "gpt-oss",
    {
        **attention_numbers(24, 2880, 2880, 64, 8, 64, 131_072),
        **{"expert_count": 32, "expert_used_count": 4, "expert_feed_forward_length": 2880},
        "attention.sliding_window": 128,
    },
    tokens=201_088,
    merges=446_189,
)
EMBEDDINGGEMMA = Outline("gemma-embedding", attention_numbers(24, 768, 1152, 3, 1, 256, 2048), tokens=262_144)
