"""The decision before a restart: fits, fits unrepacked and says so, or is refused with what would fit."""

import pytest
from gguf import GGMLQuantizationType as Kind

from deploy.errors import BoardllamaError
from deploy.models.gguf.info import GgufInfo, read_gguf_info
from deploy.models.memory.estimate import Serving, estimate_memory
from deploy.models.memory.fit import RESERVE, BoardMemory, MemoryFit, best_quantization, biggest_context, judge_fit
from tests.shapes import Shape, write

# 20 MB of weights, 17 MB of which can be repacked; 8 KiB of cache per token.
SHAPE = Shape("x", Kind.Q8_0, Kind.Q8_0, 512, 2048, 4, 16, 16, 2000, 8192)
REPACKING = Serving(2048, repack=True)
PLAIN = Serving(2048, repack=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> GgufInfo:
    return read_gguf_info(write(SHAPE, tmp_path_factory.mktemp("model") / "x.gguf"))


def board(available: int) -> BoardMemory:
    """One on which llama-server may take so many bytes."""
    return BoardMemory(available + RESERVE)


def refusal(model: GgufInfo, available: int, serving: Serving = REPACKING) -> str:
    with pytest.raises(BoardllamaError) as caught:
        judge_fit(model, "x.gguf", serving, board(available))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_the_system_needs_and_what_the_unit_forbids_is_not_available() -> None:
    assert BoardMemory(2_000_000_000).available == 2_000_000_000 - RESERVE
    assert BoardMemory(2_000_000_000, maximum=1_700_000_000).available == 1_700_000_000
    assert BoardMemory(500_000_000, maximum=425_000_000).available == 500_000_000 - RESERVE
    assert BoardMemory(100_000_000).available == 0


def test_a_model_that_fits_is_served_without_a_word(model: GgufInfo) -> None:
    need = estimate_memory(model, REPACKING)
    assert judge_fit(model, "x.gguf", REPACKING, board(need.total)) == MemoryFit(need)


def test_one_byte_less_and_it_is_served_unrepacked_and_said_aloud(model: GgufInfo) -> None:
    verdict = judge_fit(model, "x.gguf", REPACKING, board(estimate_memory(model, REPACKING).total - 1))
    assert verdict.no_repack
    assert verdict.estimate == estimate_memory(model, PLAIN)
    assert verdict.said == (
        "x.gguf needs 101 MB with weights repacked for speed (weights 19, repacked 19, KV cache 17, buffers 46), "
        "this board has 100 MB for it (of 250 MB): served with --no-repack, 83 MB, slower"
    )


def test_a_smaller_context_that_fits_is_named(model: GgufInfo) -> None:
    half = estimate_memory(model, Serving(1024, repack=False)).total
    assert refusal(model, half) == (
        "x.gguf needs 83 MB for 2048 tokens of context (weights 21, KV cache 17, buffers 46), this board has 73 MB for "
        "it (of 223 MB); set context_size to 1024 or less"
    )
    judge_fit(model, "x.gguf", Serving(1024, repack=True), board(half))


def test_the_models_own_context_is_a_number_in_the_message(model: GgufInfo) -> None:
    available = estimate_memory(model, PLAIN).total
    assert "for 8192 tokens of context" in refusal(model, available, Serving(0, repack=False))
    assert biggest_context(model, Serving(0, repack=False), available) == 2048


def test_a_smaller_quantization_that_fits_is_named(model: GgufInfo) -> None:
    least = estimate_memory(model, Serving(512, repack=False)).total
    assert biggest_context(model, PLAIN, least - 1_000_000) is None
    assert refusal(model, least - 1_000_000).endswith("; take the same model as Q6_K, with context_size 512")
    assert refusal(model, least - 8_000_000).endswith("; take the same model as Q4_K_M, with context_size 512")


def test_a_quantization_is_never_named_that_is_bigger_than_the_file(model: GgufInfo) -> None:
    assert best_quantization(model, PLAIN, 10**12) == "Q6_K"


def test_when_nothing_fits_a_smaller_model_is_the_advice(model: GgufInfo) -> None:
    assert refusal(model, 10_000_000).endswith("; no quantization of it fits (not even Q2_K): take a smaller model")
