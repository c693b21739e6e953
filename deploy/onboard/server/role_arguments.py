"""What llama-server is told of the role of its model."""

from pathlib import Path

from ..service import EMBED, RERANK

FLAGS = {EMBED: "--embeddings", RERANK: "--rerank"}


def role_arguments(role: str, context_size: int, model: Path) -> list[str]:
    """The arguments for a role; they come last, since the last of two that are the same counts.

    What a model reads for vectors or scores it reads at once: llama-server answers 500 to a text that is longer than
    its batch. `context_size` in tokens; 0: as many as the model was trained for.
    """
    if role not in FLAGS:
        return []
    batch = str(context_size or trained_context(model))
    return [FLAGS[role], "--batch-size", batch, "--ubatch-size", batch]


def trained_context(model: Path) -> int:
    """For how many tokens the model was trained. Raises GgufError, KeyError."""
    from ..gguf.header import read_header  # takes a tenth of a second, and few servers are told 0

    keys = read_header(model).keys
    return int(keys[f"{keys['general.architecture']}.context_length"])
