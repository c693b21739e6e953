"""The lists that models are checked against are those of the source which is built."""

import re

from deploy.onboard.gguf.architectures import ARCHITECTURES, PIN
from deploy.onboard.gguf.kinds import BLOCKS, REMOVED
from deploy.onboard.gguf.tokenizers import OTHERS, PAIRWISE, PRE
from tests.build.builds import CPU, Make, wanted, workspace


def test_the_list_is_of_the_default_source() -> None:
    assert wanted("generic").source.pin == PIN


def test_the_list_is_the_sources(built: Make) -> None:
    source = workspace(built(CPU)) / "src" / "src" / "llama-arch.cpp"
    table = re.search(r"LLM_ARCH_NAMES = \{(.*?)\n\};", source.read_text(), re.DOTALL)
    assert table
    names = set(re.findall(r'\{ *LLM_ARCH_\w+, *"([^"]+)" *\}', table[1]))
    assert names - {"clip", "(unknown)"} == ARCHITECTURES


def test_the_tokenizers_are_the_sources(built: Make) -> None:
    source = (workspace(built(CPU)) / "src" / "src" / "llama-vocab.cpp").read_text()
    assert set(re.findall(r'tokenizer_pre == "([^"]+)"', source)) == PRE
    pairwise = re.search(r"((?:tokenizer_model == \"\w+\"(?: \|\| )?)+)\) \{\s*type = LLAMA_VOCAB_TYPE_BPE;", source)
    assert set(re.findall(r'tokenizer_model == "(\w+)"', source)) - {"none", "no_vocab"} == PAIRWISE | OTHERS
    assert pairwise and set(re.findall(r'"(\w+)"', pairwise[1])) == PAIRWISE


def test_the_kinds_of_tensors_are_the_sources(built: Make) -> None:
    source = workspace(built(CPU)) / "src" / "ggml" / "include" / "ggml.h"
    table = re.search(r"enum ggml_type \{(.*?)\n *\};", source.read_text(), re.DOTALL)
    assert table
    kinds = {int(number): bool(gone) for gone, number in re.findall(r"(// )?GGML_TYPE_\w+ *= *(\d+),", table[1])}
    count = kinds.popitem()[0]
    assert {kind for kind, gone in kinds.items() if not gone} == set(BLOCKS)
    assert {kind for kind, gone in kinds.items() if gone} == set(REMOVED)
    assert count == max(BLOCKS) + 1
