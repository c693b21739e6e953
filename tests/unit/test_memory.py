"""What the estimate of memory is made of. That it is true is measured in tests/vm/test_fit.py."""

from dataclasses import replace
from pathlib import Path

import gguf
import pytest
from gguf import GGMLQuantizationType as Kind

from deploy.cpu import find_cpu
from deploy.models.gguf.info import GgufInfo, read_gguf_info
from deploy.models.memory.estimate import (
    MIB,
    REPACKED,
    Serving,
    can_repack,
    estimate_memory,
    mapped_bytes,
    repacked_tensors,
)
from tests.shapes import Shape, write
from tests.vm.resident import GEMMA3, GEMMA3N, GPT_OSS, GRANITE, LFM2, MAMBA2, QWEN3MOE, QWEN35

MIXED = Shape("mixed", Kind.Q4_K, Kind.Q6_K, 256, 512, 2, 4, 2, 1000, 2048)
PLAIN = Serving(2048, repack=False)
REPACKING = Serving(2048, repack=True)


def info(folder: Path, shape: Shape) -> GgufInfo:
    folder.mkdir(exist_ok=True)
    return read_gguf_info(write(shape, folder / "model.gguf"))


def shaped(kind: Kind, tied: bool = False, vocabulary: int = 1000, wide: Kind | None = None) -> Shape:
    return Shape("x", kind, wide or kind, 256, 512, 2, 4, 2, vocabulary, 2048, tied)


def test_repacked_is_every_matrix_that_is_multiplied_with(tmp_path: Path) -> None:
    """Not the token embedding, of which rows are taken, and not the norms."""
    model = info(tmp_path, MIXED)
    left = {tensor.name for tensor in model.tensors} - {tensor.name for tensor in repacked_tensors(model.tensors)}
    norms = {f"blk.{layer}.{norm}.weight" for layer in (0, 1) for norm in ("attn_norm", "ffn_norm")}
    assert left == {"token_embd.weight", "output_norm.weight"} | norms


def test_a_tied_embedding_is_loaded_a_second_time_as_output(tmp_path: Path) -> None:
    model = info(tmp_path, shaped(Kind.Q8_0, tied=True))
    assert "token_embd.weight" in {tensor.name for tensor in repacked_tensors(model.tensors)}
    start = min(tensor.offset for tensor in model.tensors)
    assert mapped_bytes(model, repacked_tensors(model.tensors)) == model.size - start


def test_the_numbers_of_the_types_that_are_repacked_are_those_of_gguf() -> None:
    by_rows = {rows: {Kind(number).name for number in REPACKED if REPACKED[number] == rows} for rows in (4, 8)}
    assert by_rows == {4: {"Q4_0", "Q8_0", "Q1_0", "IQ4_NL", "MXFP4"}, 8: {"Q4_K", "Q5_K", "Q6_K"}}


@pytest.mark.parametrize("kind", [Kind.F16, Kind.Q2_K, Kind.Q3_K])
def test_types_without_an_arm_kernel_are_not_repacked(tmp_path: Path, kind: Kind) -> None:
    model = info(tmp_path, shaped(kind))
    assert repacked_tensors(model.tensors) == ()
    assert estimate_memory(model, REPACKING) == estimate_memory(model, PLAIN)


@pytest.mark.parametrize(("kind", "rows"), [(Kind.Q4_K, 8), (Kind.Q6_K, 8), (Kind.Q4_0, 4), (Kind.Q8_0, 4)])
def test_rows_must_fill_whole_groups(tmp_path: Path, kind: Kind, rows: int) -> None:
    outputs = []
    for vocabulary in (1000, 1000 + rows // 2):
        model = info(tmp_path, shaped(kind, vocabulary=vocabulary))
        outputs.append("output.weight" in {tensor.name for tensor in repacked_tensors(model.tensors)})
    assert outputs == [True, False]


def test_builds_with_dot_products_repack() -> None:
    assert [can_repack(find_cpu(name)) for name in ("generic", "cortex-a72", "cortex-a76", "armv8.6-i8mm")] == [
        0,
        0,
        1,
        1,
    ]


def test_what_lies_before_the_first_tensor_in_use_is_unmapped(tmp_path: Path) -> None:
    """Converted files begin with output; repacked, it is not read again."""
    model = info(tmp_path, MIXED)
    output = next(tensor for tensor in model.tensors if tensor.name == "output.weight")
    estimates = [estimate_memory(model, serving) for serving in (PLAIN, REPACKING)]
    assert 0 <= estimates[0].weights - estimates[1].weights - output.size < 32
    assert [guess.weights + guess.dropped for guess in estimates] == [model.size, model.size]


def test_the_cache_holds_f16_keys_and_values_of_all_slots_together(tmp_path: Path) -> None:
    """2 layers x 2 heads x (64 + 64) numbers of 2 bytes a token, in steps of 256 tokens; 0 is the model's own size."""
    model = info(tmp_path, MIXED)
    for context, tokens in ((2048, 2048), (0, 2048), (513, 768), (100, 256)):
        assert estimate_memory(model, Serving(context, repack=False)).kv_cache == tokens * 2 * 2 * 128 * 2


def test_a_smaller_kind_of_cache_takes_the_bytes_of_its_blocks(tmp_path: Path) -> None:
    """32 numbers and their scale: 34 bytes in q8_0, 18 in q4_0."""
    model = info(tmp_path, MIXED)
    sizes = [estimate_memory(model, replace(PLAIN, kv_cache=kind)).kv_cache for kind in ("f16", "q8_0", "q4_0")]
    assert [size / sizes[0] * 64 for size in sizes] == [64, 34, 18]


def test_states_and_windows_are_those_of_each_conversation(tmp_path: Path) -> None:
    hybrid, windowed = info(tmp_path / "hybrid", QWEN35), info(tmp_path / "windowed", GEMMA3)
    one, four = (Serving(4096, repack=False, parallel=count) for count in (1, 4))
    assert estimate_memory(hybrid, four).states == 4 * estimate_memory(hybrid, one).states > 0
    assert estimate_memory(hybrid, four).kv_cache == estimate_memory(hybrid, one).kv_cache
    assert estimate_memory(windowed, four).checkpoints == 4 * estimate_memory(windowed, one).checkpoints > 0


def test_each_checkpoint_is_a_copy(tmp_path: Path) -> None:
    model = info(tmp_path, QWEN35)
    one, three = (estimate_memory(model, replace(PLAIN, checkpoints=count)) for count in (1, 3))
    assert three.checkpoints == 3 * one.checkpoints == 3 * one.states


def test_the_prompt_cache_counts_as_a_whole(tmp_path: Path) -> None:
    model = info(tmp_path, MIXED)
    assert (
        estimate_memory(model, replace(PLAIN, prompt_cache=256)).total - estimate_memory(model, PLAIN).total
        == 256 * MIB
    )


def test_guesses_take_a_row_of_the_vocabulary_each_computed_and_kept(tmp_path: Path) -> None:
    """Four conversations with 48 guesses and the token before them. 67 MB measured, and 4 of tables."""
    model = info(tmp_path, shaped(Kind.Q8_0, vocabulary=49152))
    least, most = (estimate_memory(model, replace(PLAIN, speculative=kind)) for kind in ("none", "ngram-map-k"))
    row = 49152 * 4
    assert 1.6 * 4 * 48 * row < most.buffers - least.buffers < 2 * 4 * 48 * row
    assert most.base - least.base == 4 * 1_100_000
    few = replace(PLAIN, speculative="ngram-simple", batch_size=16)  # no more than a batch is computed at once
    assert estimate_memory(model, few).buffers < least.buffers + 2 * 16 * row


# MiB, as the pinned llama-server logs them ("compute buffer size") for these shapes with 2000 tokens.
COMPUTED = [
    (GEMMA3, 8192, 17.02),
    (GEMMA3N, 4096, 50.02),
    (GPT_OSS, 8192, 18.52),
    (QWEN3MOE, 4096, 13.51),
    (QWEN35, 4096, 15.41),
    (LFM2, 4096, 13.03),
    (GRANITE, 4096, 20.64),
    (MAMBA2, 4096, 17.13),
]


@pytest.mark.parametrize(("shape", "context", "logged"), COMPUTED, ids=lambda value: getattr(value, "name", None))
def test_buffers_are_those_of_llama_server(tmp_path: Path, shape: Shape, context: int, logged: float) -> None:
    model = info(tmp_path, replace(shape, vocabulary=2000))
    assert 0.92 * logged < estimate_memory(model, Serving(context, repack=False)).buffers / MIB < logged + 5


def test_buffers_grow_with_the_batch_up_to_what_is_computed_at_once(tmp_path: Path) -> None:
    model = info(tmp_path, MIXED)
    sizes = [estimate_memory(model, Serving(2048, False, batch)).buffers for batch in (64, 512, 2048)]
    assert sizes[0] < sizes[1] == sizes[2]


def test_a_text_that_is_read_whole_takes_scores_of_all_its_tokens(tmp_path: Path) -> None:
    model = info(tmp_path, MIXED)
    part, whole = (estimate_memory(model, Serving(512, repack=False, whole=one)).buffers for one in (False, True))
    assert whole - part == 2 * 4 * max(model.hyperparameters.head_count) * 512**2


def test_loading_is_the_peak_when_what_is_unmapped_weighs_more_than_cache_and_buffers(tmp_path: Path) -> None:
    guess = estimate_memory(
        info(tmp_path, shaped(Kind.Q4_K, vocabulary=100_000, wide=Kind.Q6_K)), Serving(256, repack=True)
    )
    assert guess.dropped > guess.kv_cache + guess.buffers
    assert guess.total == guess.weights + guess.dropped + guess.repacked + guess.base


def test_a_model_without_weights_or_numbers_is_no_crash(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "mamba")
    writer.add_context_length(1024)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    guess = estimate_memory(read_gguf_info(tmp_path / "x.gguf"), REPACKING)
    assert (guess.weights, guess.repacked, guess.kv_cache) == (0, 0, 0)
