"""What is refused as no model does not load, and what is taken does: asked of the llama.cpp that was built."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.build.proof import emulator_command
from deploy.cpu import find_cpu
from deploy.errors import BoardllamaError
from deploy.models.smoke import write_smoke_model
from deploy.stages import model
from tests.build.builds import CPU, Make
from tests.gguf_bytes import Parts, parts_of
from tests.unit.test_settings import told


def pairwise(parts: Parts, pre: str) -> bytes:
    """With a vocabulary that joins pairs."""
    other = parts.with_other("tokenizer.ggml.model", "gpt2").with_key("tokenizer.ggml.pre", pre)
    return other.with_key("tokenizer.ggml.merges", ["a b"]).bytes()


# The smoke model with one oddity each; the keys that it has need no mention.
TAKEN: dict[str, Callable[[Parts], bytes]] = {
    "as it is": lambda parts: parts.bytes(),
    "version 2": lambda parts: parts.bytes(version=2),
    "a string that is no UTF-8": lambda parts: parts.with_key("general.author", b"Jos\xe9").bytes(),
    "a key that is no UTF-8": lambda parts: parts.with_key(b"caf\xe9", 1).bytes(),
    "aligned to 64 bytes": lambda parts: parts.with_key("general.alignment", 64).bytes(alignment=64),
    "no pooling": lambda parts: parts.with_key("llama.pooling_type", 0).bytes(),
    "unsaid pooling": lambda parts: parts.with_key("llama.pooling_type", 0xFFFFFFFF).bytes(),
    "heads by layer": lambda parts: parts.with_other("llama.attention.head_count", [2, 2]).bytes(),
    "a known pre-tokenizer": lambda parts: pairwise(parts, "default"),
    "a pre-tokenizer that is not asked for": lambda parts: parts.with_key("tokenizer.ggml.pre", "newer").bytes(),
    "causal": lambda parts: parts.with_key("llama.attention.causal", True).bytes(),
}
REFUSED: dict[str, Callable[[Parts], bytes]] = {
    "version 1": lambda parts: parts.bytes(version=1),
    "a list of lists": lambda parts: parts.with_key("x.lists", [[1], [2]]).bytes(),
    "a key twice": lambda parts: Parts([*parts.keys, parts.keys[0]], parts.tensors).bytes(),
    "a key without a name": lambda parts: parts.with_key("", 1).bytes(),
    "a tensor twice": lambda parts: Parts(parts.keys, [*parts.tensors, parts.tensors[0]]).bytes(),
    "aligned to 48 bytes": lambda parts: parts.with_key("general.alignment", 48).bytes(alignment=48),
    "weights without an alignment": lambda parts: parts.with_key("general.alignment", 1).bytes(alignment=1),
    "weights at other places": lambda parts: parts.bytes(alignment=4096),
    "no weights": lambda parts: Parts(parts.keys, []).bytes(),
    "cut": lambda parts: parts.bytes()[:-64],
    "no layers": lambda parts: parts.without_key(".block_count").bytes(),
    "no context": lambda parts: parts.without_key(".context_length").bytes(),
    "a context that is text": lambda parts: parts.with_other("llama.context_length", "2048").bytes(),
    "a width that is true": lambda parts: parts.with_other("llama.embedding_length", True).bytes(),
    "too many layers": lambda parts: parts.with_other("llama.block_count", 513).bytes(),
    "heads of another layer": lambda parts: parts.with_other("llama.attention.head_count", [2, 2, 2]).bytes(),
    "a layer without its width": lambda parts: parts.with_other("llama.feed_forward_length", [128]).bytes(),
    "an unknown tokenizer": lambda parts: parts.with_other("tokenizer.ggml.model", "newer").bytes(),
    "an unknown pre-tokenizer": lambda parts: pairwise(parts, "newer"),
    "no architecture": lambda parts: parts.without_key("general.architecture").bytes(),
}


def loads(built: Make, path: Path) -> bool:
    """Whether the real program computes a token with it."""
    program = built(CPU).artifact_folder / "llama-bench"
    words = [*emulator_command(find_cpu(CPU)), str(program), "-m", str(path), *"-p 0 -n 1 -r 1 -t 1".split()]
    return subprocess.run(words, capture_output=True, timeout=120, check=False).returncode == 0


@pytest.mark.parametrize("oddity", [*TAKEN, *REFUSED])
def test_the_verdict_on_a_file_is_llama_cpps(built: Make, tmp_path: Path, oddity: str) -> None:
    path = tmp_path / "x.gguf"
    write_smoke_model(path)
    path.write_bytes((TAKEN | REFUSED)[oddity](parts_of(path)))
    settings = told(model="path", model_path=str(path), context_size=0)
    if oddity in TAKEN:
        model.check_weights(settings, [path])
    else:
        with pytest.raises(BoardllamaError):
            model.check_weights(settings, [path])
    assert loads(built, path) == (oddity in TAKEN)
