"""What llama-server keeps of a conversation, from headers of published models: numbers alone, as they stand in them."""

from pathlib import Path
from typing import Any

import gguf
import pytest

from deploy.models.gguf.info import GgufInfo, read_gguf_info
from deploy.models.memory.estimate import MIB, Serving, estimate_memory

Keys = dict[str, Any]


def attention(layers: int, width: int, heads: int, heads_kv: int | list[int], size: int) -> Keys:
    counts = {"attention.head_count": heads, "attention.head_count_kv": heads_kv}
    sizes = {"attention.key_length": size, "attention.value_length": size}
    return {"block_count": layers, "embedding_length": width, **counts, **sizes}


def ssm(inner: int, state: int, kernel: int, groups: int) -> Keys:
    sizes = {"ssm.inner_size": inner, "ssm.state_size": state}
    return {**sizes, "ssm.conv_kernel": kernel, "ssm.group_count": groups}


GEMMA3 = attention(34, 2560, 8, 4, 256) | {"attention.sliding_window": 1024}
GEMMA3N = attention(35, 2048, 8, 2, 256) | {
    "attention.sliding_window": 512,
    "attention.shared_kv_layers": 15,
    "attention.sliding_window_pattern": [index % 5 != 4 for index in range(35)],
}
GEMMA4 = attention(35, 1536, 8, 1, 512) | {
    "attention.key_length_swa": 256,
    "attention.value_length_swa": 256,
    "attention.sliding_window": 512,
    "attention.shared_kv_layers": 20,
    "attention.sliding_window_pattern": [index % 5 != 4 for index in range(35)],
}
GPT_OSS = attention(24, 2880, 64, 8, 64) | {"attention.sliding_window": 128}
QWEN35 = attention(32, 2560, 16, 4, 256) | ssm(4096, 128, 4, 16) | {"full_attention_interval": 4}
LFM2 = attention(16, 2048, 32, [8 * (index in (2, 5, 8, 10, 12, 14)) for index in range(16)], 64) | {
    "shortconv.l_cache": 3
}
GRANITE = attention(40, 1536, 12, [4 * (index in (5, 15, 25, 35)) for index in range(40)], 128) | ssm(3072, 128, 4, 1)
FALCON_H1 = attention(36, 1024, 8, 2, 64) | ssm(1536, 128, 4, 1)
MAMBA2 = {"block_count": 48, "embedding_length": 2048} | ssm(4096, 128, 4, 1)
RWKV7 = {"block_count": 24, "embedding_length": 2048, "wkv.head_size": 64}
NEMOTRON = attention(4, 1024, 8, [0, 0, 2, 0], 128) | ssm(2048, 128, 4, 8) | {"feed_forward_length": [0, 4096, 0, 0]}
MLA = attention(27, 2048, 16, 1, 576) | {"attention.key_length_mla": 192, "attention.value_length_mla": 128}
QWEN3 = attention(28, 1024, 16, 8, 128)

# Architecture, keys, context, MiB of cache and of states: as the pinned llama-server logs them ("KV buffer size", "RS
# buffer size") for models of these numbers.
LOGGED = [
    ("gemma3", GEMMA3, 2048, 272, 0),
    ("gemma3", GEMMA3, 16384, 842, 0),
    ("gemma3", GEMMA3, 32768, 1162, 0),
    ("gemma3n", GEMMA3N, 32768, 336, 0),
    ("gemma4", GEMMA4, 32768, 222, 0),
    ("gpt-oss", GPT_OSS, 65536, 1560, 0),
    ("qwen35", QWEN35, 32768, 1024, 201),
    ("qwen35", QWEN35, 65536, 2048, 201),
    ("lfm2", LFM2, 32768, 384, 0.625),
    ("granitehybrid", GRANITE, 8192, 64, 221.5),
    ("falcon-h1", FALCON_H1, 8192, 144, 110.95),
    ("mamba2", MAMBA2, 8192, 0, 393.6),
    ("rwkv7", RWKV7, 8192, 0, 49.5),
    ("nemotron_h", NEMOTRON, 8192, 8, 8.4),
    ("deepseek2", MLA, 8192, 243, 0),
    ("qwen3", QWEN3, 8192, 896, 0),
]


def written(folder: Path, architecture: str, keys: Keys) -> GgufInfo:
    """A file with these keys and no tensors."""
    writer = gguf.GGUFWriter(folder / "x.gguf", architecture)
    writer.add_context_length(131072)
    for key, value in keys.items():
        (writer.add_array if isinstance(value, list) else writer.add_uint32)(f"{architecture}.{key}", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return read_gguf_info(folder / "x.gguf")


@pytest.mark.parametrize(("architecture", "keys", "context", "cache", "states"), LOGGED)
def test_cache_and_states_are_those_of_llama_server(
    tmp_path: Path, architecture: str, keys: Keys, context: int, cache: int, states: float
) -> None:
    guess = estimate_memory(written(tmp_path, architecture, keys), Serving(context, repack=False))
    assert guess.kv_cache / MIB == pytest.approx(cache, abs=0.05)
    assert guess.states / MIB == pytest.approx(states, abs=0.06)


def test_a_checkpoint_of_each_slot_is_what_its_window_shows(tmp_path: Path) -> None:
    """29 of 34 layers have a window of 1024 tokens: 4 KiB per token and layer; a context of 2048 holds 2048 in all."""
    info = written(tmp_path, "gemma3", GEMMA3)
    sizes = [estimate_memory(info, Serving(context, repack=False)).checkpoints for context in (2048, 16384)]
    assert sizes == [29 * 4096 * 2048, 29 * 4096 * 4 * 1024]


def test_a_checkpoint_of_each_slot_is_its_state(tmp_path: Path) -> None:
    guess = estimate_memory(written(tmp_path, "qwen35", QWEN35), Serving(8192, repack=False))
    assert guess.checkpoints == guess.states


def test_a_model_that_forgets_nothing_needs_no_checkpoints(tmp_path: Path) -> None:
    assert estimate_memory(written(tmp_path, "qwen3", QWEN3), Serving(8192, repack=False)).checkpoints == 0


def test_the_files_own_pattern_comes_first(tmp_path: Path) -> None:
    for pattern, windows in (([1, 0, 0, 1], [8, 0, 0, 8]), (2, [8, 0, 8, 0]), (0, [8, 8, 8, 8]), (1, [0, 0, 0, 0])):
        keys = attention(4, 64, 2, 2, 32) | {
            "attention.sliding_window": 8,
            "attention.sliding_window_pattern": pattern,
        }
        assert [layer.window for layer in written(tmp_path, "gemma3", keys).layers] == windows


def test_the_layer_that_sees_all_may_be_the_first(tmp_path: Path) -> None:
    keys = attention(8, 64, 2, 2, 32) | {"attention.sliding_window": 8}
    windows = [layer.window for layer in written(tmp_path, "cohere2moe", keys).layers]
    assert windows == [0, 8, 8, 8, 0, 8, 8, 8]


@pytest.mark.parametrize("architecture", ["llama", "phi3", "exaone4", "newer-than-the-tables"])
def test_what_the_tables_do_not_know_counts_with_all_tokens(tmp_path: Path, architecture: str) -> None:
    guess = estimate_memory(written(tmp_path, architecture, GEMMA3), Serving(32768, repack=False))
    assert (guess.kv_cache, guess.checkpoints) == (34 * 32768 * 4 * 512 * 2, 0)


def test_layers_that_only_predict_are_not_loaded(tmp_path: Path) -> None:
    info = written(tmp_path, "qwen35", QWEN35 | {"block_count": 33, "nextn_predict_layers": 1})
    assert len(info.layers) == 32


@pytest.mark.parametrize("damage", [0, 1, 1 << 31, (1 << 32) - 1])
@pytest.mark.parametrize("key", sorted(GEMMA3N | QWEN35 | LFM2 | RWKV7 | {"nextn_predict_layers": 0}))
def test_a_damaged_number_is_no_crash(tmp_path: Path, key: str, damage: int) -> None:
    for architecture in ("gemma3n", "qwen35", "lfm2"):
        info = written(tmp_path, architecture, GEMMA3N | QWEN35 | LFM2 | {key: damage})
        assert estimate_memory(info, Serving(2048, repack=True)).total > 0
