"""Which models the pinned llama.cpp loads: an architecture is a name in a GGUF file and a graph in llama.cpp's code."""

from ..server.value_rules import short_json
from ..spelling import nearest_name

PIN = "0c1e57098bba43ac29e6e3b677cdceebdd22334f"  # the llama.cpp in the source distribution of llama-cpp-python 0.3.36

# LLM_ARCH_NAMES in src/llama-arch.cpp of that commit, without "clip", which only its quantization tool takes, and
# "(unknown)". tests/build compares this with the source that was built.
ARCHITECTURES = frozenset(
    """
llama llama4 deci falcon grok gpt2 gptj gptneox mpt baichuan starcoder refact bert modern-bert nomic-bert
nomic-bert-moe neo-bert jina-bert-v2 jina-bert-v3 eurobert bloom stablelm qwen qwen2 qwen2moe qwen2vl qwen3 qwen3moe
qwen3next qwen3vl qwen3vlmoe qwen35 qwen35moe qwen4exp phi2 phi3 phimoe plamo plamo2 plamo3 codeshell orion
internlm2 minicpm minicpm3 gemma gemma2 gemma3 gemma3n gemma4 gemma4-assistant gemma-embedding starcoder2 mamba
mamba2 maple jamba falcon-h1 xverse command-r cohere2 cohere2moe dbrx olmo olmo2 olmoe muse-glimmer openelm arctic
deepseek deepseek2 deepseek2-ocr deepseek32 deepseek4 chatglm glm4 glm4moe glm-dsa bitnet t5 t5encoder jais jais2
nemotron nemotron_h nemotron_h_moe exaone exaone4 exaone-moe rwkv6 rwkv6qwen2 rwkv7 arwkv7 granite granitemoe
granitehybrid graniteswitch granite_swa chameleon wavtokenizer-dec plm bailingmoe bailingmoe2 bailingmoe3 dots1
dots3note arcee afmoe laguna ernie4_5 ernie4_5-moe hunyuan-moe hunyuan-dense hunyuan_vl hy_v3 hy_v4 smollm3 gpt-oss
lfm2 lfm2moe dream smallthinker llada llada-moe seed_oss grovemoe apertus minimax-01 hrm_text minimax-m2 minimax-m3
cogvlm rnd1 pangu-embedded mistral3 eagle3 dflash mistral4 paddleocr mimo2 step35 spark2_5 llama-embed maincoder
kimi-linear kimi-k3 glm5-next talkie mellum nanbeige qwen3tts pockettts
""".split()
)


def unknown_architecture(architecture: str) -> str | None:
    """Why the pinned llama.cpp has no graph for a model, as a clause after the model's name; None when it has one."""
    if architecture in ARCHITECTURES:
        return None
    if not architecture:
        return "does not say its architecture (general.architecture): convert the model again"
    near = nearest_name(architecture, ARCHITECTURES)
    hint = f" (the nearest that it knows is {near})" if near else ""
    return (
        f"has the architecture {short_json(architecture)}: this llama.cpp knows {len(ARCHITECTURES)} others{hint}; "
        f"take a model of a known one, or set llama_source to a llama.cpp that knows it"
    )
