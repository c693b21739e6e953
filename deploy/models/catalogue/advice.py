"""What the publishers of the catalogue's models recommend: their model cards, by the heading that is named."""

from deploy.models.model import Advice

# A board makes 5 to 10 tokens in a second, and a thought takes hundreds of them: what can think or not does not, unless
# it is told to (reasoning).
OFF, AUTO = "off", "auto"
# Model cards of Qwen/Qwen3-0.6B and -1.7B, "Best Practices". They name a presence_penalty only against repetitions.
QWEN3 = Advice(temperature=0.7, top_p=0.8, top_k=20, min_p=0, context_size=4096, reasoning=OFF)
QWEN3_THINKING = Advice(temperature=0.6, top_p=0.95, top_k=20, min_p=0, context_size=4096)
# Model cards of Qwen/Qwen3.5-0.8B and -2B, "Non-thinking mode for text tasks".
QWEN35_SMALL = Advice(1.0, 1.0, 20, 0.0, 1.0, 2.0, context_size=8192, reasoning=OFF)
# Model cards of Qwen/Qwen3.5-4B and -9B, "Instruct (or non-thinking) mode for general tasks".
QWEN35 = Advice(0.7, 0.8, 20, 0.0, 1.0, 1.5, context_size=8192, reasoning=OFF)
# All of these cards, "Thinking mode for text tasks" or "for general tasks".
QWEN35_THINKING = Advice(1.0, 0.95, 20, 0.0, 1.0, 1.5, context_size=8192)

# The examples of the model cards of HuggingFaceTB/SmolLM2-135M-Instruct and TinyLlama/TinyLlama-1.1B-Chat-v1.0.
SMOLLM2 = Advice(temperature=0.2, top_p=0.9, context_size=4096)
TINYLLAMA = Advice(temperature=0.7, top_p=0.95, top_k=50, context_size=2048)
# Model card of LiquidAI/LFM2.5-1.2B-Instruct, "Generation parameters".
LFM25 = Advice(temperature=0.1, top_p=0.1, top_k=50, repeat_penalty=1.05, context_size=8192)
# Model card of google/gemma-4-E2B-it: "across all use cases".
GEMMA4 = Advice(temperature=1.0, top_p=0.95, top_k=64, context_size=8192, reasoning=AUTO)
# README of github.com/openai/gpt-oss, "Recommended Sampling Parameters". It cannot be told not to think.
GPT_OSS = Advice(temperature=1.0, top_p=1.0, context_size=8192, reasoning=AUTO)
