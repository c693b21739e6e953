"""The estimate of a model's memory against llama-server itself, in the VM: within a tenth."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Kind

from deploy.build.artifact import is_there
from deploy.models.gguf.info import read_gguf_info
from deploy.models.memory.estimate import estimate_memory
from deploy.vm.machine import Machine
from tests.build.builds import pyinfra, wanted
from tests.clients import CHATS
from tests.shapes import Shape, write
from tests.vm.machine import VirtualBoard
from tests.vm.resident import GEMMA3, QWEN35, Case, InVm, built, peak

# Few layers, so that emulation reads the prompt in seconds; what memory depends on is big in one of them each:
# a mixture repacked beside its file, a tied vocabulary, a cache, windows and states of which copies are kept. The
# estimate is for a full context: 16 of the cache's 280 MB are an attention mask that these prompts do not fill. Windows
# grew with every turn; a state is copied in the first ones, and a cache without windows is all there from the start.
MIXTURE = Shape("mixture", Kind.Q4_K, Kind.Q6_K, 1024, 2816, 3, 16, 4, 48000, 4096)
VOCABULARY = Shape("vocabulary", Kind.Q8_0, Kind.Q8_0, 512, 1408, 3, 8, 2, 60000, 2048, tied=True)
CACHE = Shape("cache", Kind.Q8_0, Kind.Q8_0, 512, 512, 6, 8, 8, 8000, 16384)
# With how many turns, all conversations together.
CASES = [
    (Case(GEMMA3, 4096), 4 * CHATS),
    (Case(QWEN35, 4096), 2 * CHATS),
    (Case(MIXTURE, 4096), CHATS),
    (Case(VOCABULARY, 1024, repack=False), CHATS),
    (Case(CACHE, 16384), CHATS),
]


@pytest.fixture(scope="module")
def server(booted_vm: VirtualBoard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The default build's llama-server in a folder of the VM, apart from any that is installed; gone at the end."""
    if not is_there(wanted("cortex-a76")):
        pyinfra(tmp_path_factory.mktemp("story"), "cortex-a76")
    yield built(InVm(Machine.load()), "cortex-a76")
    booted_vm.run(f"rm -r {InVm.folder}")


# Windows and states take many turns: these are `make fits`.
FURTHER = ("gemma3", "qwen35")
NAMED = [
    pytest.param(case, turns, id=name, marks=[pytest.mark.further_fit] if name in FURTHER else [])
    for case, turns in CASES
    for name in (case.shape.name,)
]


@pytest.mark.parametrize(("case", "turns"), NAMED)
def test_the_estimate_is_within_a_tenth_of_what_the_server_takes(
    case: Case, turns: int, server: str, tmp_path: Path
) -> None:
    model = write(case.shape, tmp_path / "model.gguf")
    assert model.stat().st_size < 150_000_000
    at = InVm(Machine.load())
    real, answered = peak(at, server, at.copy(model, "served.gguf"), case, 3600, turns)
    guess = estimate_memory(read_gguf_info(model), case.serving)
    assert answered == turns
    assert 0.9 < guess.total / real["VmHWM"] < 1.1, (guess, real)
