"""What llama-server keeps of a conversation, layer by layer: of all tokens, of the last ones, or one state.

A file gives the numbers; which layers see all tokens is often known to llama.cpp's code alone. Its tables are here as
they stand in src/models/*.cpp of the pinned source, and tests/build compares them with the source that is built. An
architecture without an entry counts with all tokens in every layer, the most that it can take: so another llama.cpp,
with models that these tables do not know, is never given too little. llama.cpp's own estimator (llama-fit-params)
knows any source, but is a second program to build, ship and emulate on every controller. It leaves out the repacked
weights and the checkpoints, and gives a sum where a refusal names each number.
"""

from typing import NamedTuple

from deploy.models.gguf.facts import GgufFacts


class Layer(NamedTuple):
    """What one layer keeps of a conversation."""

    cached: int = 0  # numbers per token: keys and values
    window: int = 0  # tokens back from the last one that it sees; 0: all
    state: int = 0  # numbers per conversation, whatever its length: recurrent layers


class Pattern(NamedTuple):
    """Which layers have a window, as load_swa_pattern() is called."""

    every: int  # of so many layers in a row, one sees all tokens; 0: no layer does, 1: each does
    first: bool = False  # the first of them sees all tokens, not the last
    window: int = 0  # tokens; 0: the file must say it


# The file's own attention.sliding_window_pattern, a list or a number, comes before `every`. Left out, so at their most:
# exaone4 (windows at 64 layers alone), deepseek4, dots3note and dflash (caches of their own kinds), phi3 (windows not
# used), and what serves no chat (gemma4-assistant, gemma-embedding, modern-bert).
WINDOWS = {
    "afmoe": Pattern(4),
    "cohere2": Pattern(4),
    "cohere2moe": Pattern(4, first=True),
    "exaone-moe": Pattern(4, window=128),
    "gemma2": Pattern(2, window=4096),
    "gemma3": Pattern(6),
    "gemma3n": Pattern(5),
    "gemma4": Pattern(1),
    "gpt-oss": Pattern(2),
    "granite_swa": Pattern(1),
    "laguna": Pattern(4, first=True),
    "lfm2": Pattern(0),
    "llama4": Pattern(4, window=8192),
    "maple": Pattern(1),
    "mellum": Pattern(4),
    "mimo2": Pattern(1),
    "muse-glimmer": Pattern(4),
    "olmo2": Pattern(4),
    "plamo3": Pattern(8),
    "smallthinker": Pattern(4, first=True, window=4096),
    "spark2_5": Pattern(1),
    "step35": Pattern(1),
}
# Of so many layers in a row, one has attention and the others a state: full_attention_interval, for files without it.
INTERVALS = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4, "qwen4exp": 4, "minimax-01": 8}
# Every layer has both (falcon-h1); a layer without heads has a state only where it has no feed-forward part either.
BOTH = frozenset({"falcon-h1"})
ALONE = frozenset({"nemotron_h", "nemotron_h_moe"})
# Architectures whose graph has room for so many operations per token that it counts: src/llama-context.cpp,
# graph_max_nodes().
BIG_GRAPHS = frozenset(
    """
qwen3next kimi-linear bailingmoe3 qwen35 qwen35moe qwen4exp deepseek4 nanbeige minimax-01 minimax-m3 hy_v4
""".split()
)
# The first layers that keep keys and values, used by the others too, where attention.shared_kv_layers is not read.
KEEPERS = {"gemma3n": 20}


def layers_of(facts: GgufFacts) -> tuple[Layer, ...]:
    """Every layer that is computed: layers that only predict further tokens (nextn) are not loaded."""
    count = max(0, facts.layer_count - facts.number("nextn_predict_layers"))
    keepers = KEEPERS.get(facts.architecture, count - facts.number("attention.shared_kv_layers"))
    recurrent = _recurrent_layers(facts, count)
    heads = facts.per_layer("attention.head_count_kv", count, facts.heads_by_layer)
    state = _state_numbers(facts)
    found = []
    for index, (window, has_state) in enumerate(zip(_layer_windows(facts, count), recurrent, strict=True)):
        attends = index < min(keepers, len(heads)) and (not has_state or facts.architecture in BOTH)
        cached = (
            heads[index] * _head_numbers(facts, window) + facts.number("attention.indexer.key_length") if attends else 0
        )
        found.append(Layer(cached, window, state if has_state else 0))
    return tuple(found)


def _head_numbers(facts: GgufFacts, window: int) -> int:
    """Numbers of a key and a value of one head; with multi-head latent attention values are not cached."""
    keys = facts.number("attention.key_length", facts.head_size)
    values = facts.number("attention.value_length", facts.head_size)
    if window:
        keys = facts.number("attention.key_length_swa", keys)
        values = facts.number("attention.value_length_swa", values)
    return keys if facts.number("attention.key_length_mla") else keys + values


def _layer_windows(facts: GgufFacts, count: int) -> tuple[int, ...]:
    """The window of each layer in tokens; 0 for a layer that sees all of them."""
    pattern = WINDOWS.get(facts.architecture, Pattern(1))
    window = facts.number("attention.sliding_window", pattern.window)
    listed = facts.number_list("attention.sliding_window_pattern")
    if facts.architecture in WINDOWS and listed:
        return tuple(window if is_windowed else 0 for is_windowed in (listed + (0,) * count)[:count])
    every = facts.number("attention.sliding_window_pattern", pattern.every) if window else 1
    sees_all = 0 if pattern.first else every - 1
    return tuple(0 if every and index % every == sees_all else window for index in range(count))


def _recurrent_layers(facts: GgufFacts, count: int) -> tuple[bool, ...]:
    """Whether each layer keeps a state."""
    if facts.architecture in BOTH:
        return (True,) * count
    if facts.architecture in INTERVALS:
        every = max(1, facts.number("full_attention_interval", INTERVALS[facts.architecture]))
        usual = tuple(int((index + 1) % every != 0) for index in range(count))
        listed = facts.per_layer("attention.recurrent_layers", count, usual)
        return tuple(map(bool, (listed + (0,) * count)[:count]))
    heads = facts.per_layer("attention.head_count_kv", count, facts.heads_by_layer) + (0,) * count
    wide = facts.per_layer("feed_forward_length", count) + (0,) * count
    alone = facts.architecture in ALONE
    return tuple(heads[index] == 0 and not (alone and wide[index]) for index in range(count))


def _state_numbers(facts: GgufFacts) -> int:
    """Numbers of one layer's state: n_embd_r() and n_embd_s() of src/llama-hparams.cpp."""
    width, heads = facts.number("embedding_length"), max(facts.heads_by_layer, default=0)
    kernel = max(1, facts.number("ssm.conv_kernel", 1)) - 1
    if head := facts.number("wkv.head_size"):
        return width * (facts.number("token_shift_count", 2) + head)
    if tokens := facts.number("shortconv.l_cache"):
        return width * (tokens - 1)
    if head := facts.number("kda.head_dim"):
        return heads * head * (3 * (kernel or 3) + head)
    if facts.architecture == "minimax-01":
        return int(heads * facts.number("attention.key_length", facts.head_size) ** 2)
    inner, state = facts.number("ssm.inner_size"), facts.number("ssm.state_size")
    return kernel * (inner + 2 * facts.number("ssm.group_count") * state) + inner * state
