"""The tables of what layers keep are those of the source that is built: a pin that moves shows here what it changes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.models.memory.layers import ALONE, BIG_GRAPHS, BOTH, INTERVALS, KEEPERS, WINDOWS, Pattern
from tests.build.builds import CPU, Make, workspace

# Counted with all tokens in every layer, for the reasons beside WINDOWS.
LEFT_OUT = {"exaone4", "dots3note", "dflash", "gemma4-assistant", "gemma-embedding", "modern-bert"}
CALL = re.compile(r"load_swa_pattern\(ml, (\d+)(?:, (?:/\*.*?\*/)?(true|false))?\)|get_arr\(LLM_KV_ATTENTION_SLIDING")


@pytest.fixture(scope="module")
def source(built: Make) -> Path:
    return workspace(built(CPU)) / "src" / "src"


def hyperparameters(source: Path) -> Iterator[tuple[str, str]]:
    """Architectures by the name that files give, each with the code that reads its numbers."""
    names = dict(re.findall(r"\{ *LLM_ARCH_(\w+), *\"([^\"]+)\" *\}", (source / "llama-arch.cpp").read_text()))
    classes = re.findall(
        r"((?:case LLM_ARCH_\w+:\s*)+)return new llama_model_(\w+)\(", (source / "llama-model.cpp").read_text()
    )
    code = "".join(path.read_text() for path in sorted((source / "models").glob("*.cpp")))
    bodies = dict(re.findall(r"^void llama_model_(\w+)::load_arch_hparams\(.*?\{\n(.*?)^\}", code, re.M | re.S))
    declared = (source / "models" / "models.h").read_text()
    parents = dict(re.findall(r"struct llama_model_(\w+) : public llama_model_(\w+)", declared))
    for cases, name in classes:
        for case in re.findall(r"LLM_ARCH_(\w+)", cases):
            yield names[case], bodies.get(name) or bodies[parents[name]]


def test_every_window_is_in_the_table(source: Path) -> None:
    found = {}
    for architecture, code in hyperparameters(source):
        if call := CALL.search(code):
            window = re.search(r"hparams\.n_swa += (\d+);", code)
            found[architecture] = Pattern(
                int(call[1] or 1), first=call[2] == "true", window=int(window[1]) if window else 0
            )
        elif "is_swa_impl[il] = !hparams.is_recr_impl[il]" in code:
            found[architecture] = Pattern(0)
    assert {name: pattern for name, pattern in found.items() if name not in LEFT_OUT} == WINDOWS
    assert found.keys() >= LEFT_OUT


def test_every_interval_is_in_the_table(source: Path) -> None:
    codes = dict(hyperparameters(source))
    found = {name: re.search(r"full_attn_interval = (\d+);", code) for name, code in codes.items()}
    assert {name: int(match[1]) for name, match in found.items() if match} == INTERVALS


def test_layers_that_share_are_in_the_table(source: Path) -> None:
    codes = dict(hyperparameters(source))
    found = {name: re.search(r"n_layer_kv_from_start = (\d+);", code) for name, code in codes.items()}
    assert {name: int(match[1]) for name, match in found.items() if match} == KEEPERS
    everywhere = "is_recr_impl.begin(), hparams.is_recr_impl.end(), true"
    assert {name for name, code in codes.items() if everywhere in code} == BOTH
    alone = r"n_head_kv\(i\) == 0 && hparams\.n_ff\(i\) == 0"
    assert {name for name, code in codes.items() if re.search(alone, code)} == ALONE


def test_big_graphs_are_in_the_table(source: Path) -> None:
    names = dict(re.findall(r"\{ *LLM_ARCH_(\w+), *\"([^\"]+)\" *\}", (source / "llama-arch.cpp").read_text()))
    code = (source / "llama-context.cpp").read_text()
    condition = re.search(r"\} else if \(([^{]*)\) \{\s*res = std::max<uint32_t>\(n_tokens \* 40, 32u", code)
    assert condition
    assert {names[name] for name in re.findall(r"LLM_ARCH_(\w+)", condition[1])} - {"dflash"} == BIG_GRAPHS
