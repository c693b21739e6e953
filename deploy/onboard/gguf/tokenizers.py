"""How the pinned llama.cpp cuts text into tokens: a name in a GGUF file, and code for it in src/llama-vocab.cpp.

tests/build compares the names with the source that was built.
"""

from ..server.value_rules import short_json
from .header import Header

# tokenizer.ggml.model: where tokenizer.ggml.pre counts too, and where it does not.
PAIRWISE = frozenset({"gpt2", "hybriddna", "whitespace"})
OTHERS = frozenset({"llama", "bert", "t5", "rwkv", "plamo2", "gemma4", "test"})
PRE = frozenset(
    """
a.x-4.0 afmoe bailingmoe bailingmoe2 bloom chameleon chatglm-bpe codeshell cohere2moe command-r dbrx deepseek-coder
deepseek-llm deepseek-r1-qwen deepseek-v3 default exaone exaone-moe exaone4 f2llmv2 falcon falcon-h1 falcon3 gemma4
gigachat glm4 glm5 gpt-2 gpt-4o gpt3-finnish granite-docling granite-embed-multi-311m granite-embed-multi-97m grok-2
hunyuan hunyuan-dense hy_v4 jais jais-2 jina-de jina-es jina-v1-en jina-v2-code jina-v2-de jina-v2-es jina-v5-nano
joyai-llm kanana2 kimi-k2 kormo laguna lfm2 llada-moe llama-bpe llama-v3 llama3 llama4 megrez mellum mellum2 midm-2.0
minerva-7b minicpm5 minimax-m2 modern-bert mpt olmo phi-2 pixtral poro-chat qwen2 qwen35 refact roberta-bpe sarvam-moe
seed-coder smaug-bpe smollm solar-open spark2_5 stablelm2 starcoder superbpe talkie tekken tiny_aya trillion ufakzeka
viking whitespace youtu
""".split()
)


def unknown_tokenizer(header: Header) -> str | None:
    """Why the pinned llama.cpp cannot cut a model's text into tokens; None when it can, or the file says nothing."""
    kind, name, known = "tokenizer", header.keys.get("tokenizer.ggml.model"), PAIRWISE | OTHERS
    if name in PAIRWISE:
        kind, name, known = "pre-tokenizer", header.keys.get("tokenizer.ggml.pre") or "default", PRE
    if name is None or name in known:
        return None
    return (
        f"has the {kind} {short_json(name)}, with which this llama.cpp reads no text: take the same model from another "
        f"converter, or set llama_source to a llama.cpp that knows it"
    )
