"""Which GGUF files llama-server serves in a role: for chat, for vectors, for scores.

The controller asks before it brings one, the launcher before it starts.
"""

import re
from collections.abc import Callable
from pathlib import Path

from ..server.config import ConfigError
from ..server.value_rules import is_file_name, short_json
from ..service import CHAT, EMBED, RERANK
from .architectures import PIN, unknown_architecture
from .header import GgufError, Header, Truncated, read_header
from .kinds import BLOCKS, REMOVED
from .tokenizers import unknown_tokenizer

# The end of a sentence about a model that is not what its role asks for.
ASKED = {
    CHAT: "boardllama serves chat: take a chat model",
    EMBED: "its role is embed: take an embedding model",
    RERANK: "its role is rerank: take a reranker",
}
ONE_FILE = "`llama-gguf-split --merge` makes one file of them"

# By `general.type`, files that are no models. Older files lack that key, and have another that no model has.
OTHER_FILES = {
    "adapter": "is a LoRA adapter, not a model: take the model itself, or merge the two with llama-export-lora",
    "imatrix": "is an importance matrix, which only llama-quantize reads: take the model itself",
    "mmproj": "is a projector (mmproj), which turns pictures or sound into tokens: take the model that it belongs to",
}
OTHER_KEYS = {"adapter.type": "adapter", "imatrix.chunk_count": "imatrix"}

# Architectures that the pinned llama.cpp knows and llama-server does not chat with. Vectors and diffusion have no cache
# of a sequence (create_memory in src/llama-model.cpp); T5 has an encoder, which tools/server never runs; a draft asks
# for another model's context (src/llama-context.cpp); speech ends in sound (tools/mtmd).
EMBEDDERS = (
    "bert modern-bert nomic-bert nomic-bert-moe neo-bert jina-bert-v2 jina-bert-v3 eurobert gemma-embedding llama-embed"
)
NO_CHAT = {
    EMBEDDERS: "is an embedding model ({}), which answers with vectors",
    "t5encoder": "is an encoder of text ({}), which answers with vectors",
    "dream llada llada-moe rnd1": "writes by diffusion ({}), which llama-server does not do",
    "t5": "has an encoder ({}), which llama-server does not run",
    "eagle3 dflash gemma4-assistant": "is a draft model ({}), which only makes another one faster",
    "wavtokenizer-dec qwen3tts pockettts": "is a speech model ({})",
}
# What load_hparams in src/llama-model.cpp needs of every model, and what it takes as one number or a list by layer.
NEEDED = ("context_length", "embedding_length", "block_count")
PER_LAYER = ("feed_forward_length", "attention.head_count", "attention.head_count_kv")
MOST_PARTS = 65535  # split.count is a number of 16 bits
MOST_LAYERS = 512  # LLAMA_MAX_LAYERS in src/llama-hparams.h
# enum llama_pooling_type in include/llama.h. 0 is none; -1 is what llama.cpp itself writes for a model without the key.
POOLING = {1: "mean", 2: "cls", 3: "last"}
RANK = 4


def require_usable_model(path: Path, pin: str, role: str, say: Callable[[str], object]) -> None:
    """Raises ConfigError for an operator's file that llama-server would not serve in that role, in a deploy's words.

    One whose header cannot be read this far is llama-server's to judge: a reader's mistake must not stop a good start.
    """
    if not is_file_name(path.name):
        raise ConfigError(f"{path.parent}/{ascii(path.name)[1:-1]} has a name with more than printable text: rename it")
    try:
        header = read_header(path)
    except Truncated as error:
        raise ConfigError(str(error)) from None
    except GgufError as error:
        say(str(error))
        return
    if said := lone_part(header, path) or model_refusal(header, pin, role):
        raise ConfigError(f"{path} {said}")


def model_refusal(header: Header, pin: str, role: str = CHAT) -> str | None:
    """Why llama-server of that llama.cpp would not serve this file in that role: what follows its name in a sentence.

    None when it would, and where that is not known: what another llama.cpp than the pinned one loads.
    """
    architecture = str(header.keys.get("general.architecture", ""))
    return (
        other_file(header, architecture)
        or (unknown_architecture(architecture) if pin == PIN or not architecture.isprintable() else None)
        or other_role(header, architecture, role)
        or (unknown_tokenizer(header) if pin == PIN else None)
        or no_weights(header, pin)
        or misplaced_tensor(header)
        or no_numbers(header, architecture)
        or no_layers(header, architecture)
    )


def other_file(header: Header, architecture: str) -> str | None:
    """Why the file is no language model; None when it may be one."""
    kinds = [header.keys.get("general.type"), *(kind for key, kind in OTHER_KEYS.items() if key in header.keys)]
    found = next((OTHER_FILES[kind] for kind in kinds if isinstance(kind, str) and kind in OTHER_FILES), None)
    if architecture == "controlvector":
        return "is a control vector, not a model: take the model itself"
    return found or (OTHER_FILES["mmproj"] if is_projector(header, architecture) else None)


def is_projector(header: Header, architecture: str) -> bool:
    """Whether the file turns pictures or sound into tokens of a model."""
    return architecture == "clip" or header.keys.get("general.type") == "mmproj"


def other_role(header: Header, architecture: str, role: str) -> str | None:
    """Why the language model is none for that role; None when it may be one."""
    own, said = role_of(header, architecture)
    if own == role:
        return None
    return f"{said}; {ASKED[role]}" + (f", or set role to {own}" if own else "")


def role_of(header: Header, architecture: str) -> tuple[str, str]:
    """The role that the model is made for, "" for none, and what it is, in words."""
    pooling = header.keys.get(f"{architecture}.pooling_type")
    if pooling == RANK:
        return RERANK, f"is a reranker ({architecture}), which answers with scores"
    for names, said in NO_CHAT.items():
        if architecture in names.split():
            return EMBED if names == EMBEDDERS else "", said.format(architecture)
    if isinstance(pooling, int) and pooling in POOLING:
        return EMBED, f"is an embedding model ({architecture}, {POOLING[pooling]} pooling), which answers with vectors"
    if header.keys.get(f"{architecture}.attention.causal") is False:
        return EMBED, f"reads its text in both directions ({architecture}), as embedding models do"
    return CHAT, f"is a chat model ({architecture}), which answers with text"


def no_weights(header: Header, pin: str) -> str | None:
    """Why llama.cpp has no use for the tensors: there are none, or it has no code for one's kind. None when it has."""
    if not header.tensors and not part_count(header):  # the first part of a split model may hold none
        return "holds no weights, a vocabulary at most: take the whole model"
    for tensor in header.tensors:
        if tensor.kind in REMOVED:
            name, better = REMOVED[tensor.kind]
            kind = f"{name} (type {tensor.kind})"
            return f"is quantized as {kind}, which llama.cpp removed: take the same model as {better}"
        if tensor.kind not in BLOCKS and pin == PIN:
            kind = f"tensor {tensor.name!r} is of type {tensor.kind}, which this llama.cpp does not know"
            return f"is not usable: {kind}: take the same model as Q4_0, or set llama_source to one that knows it"
    return None


def misplaced_tensor(header: Header) -> str | None:
    """Why llama.cpp refuses the places of the tensors: it takes no gaps but those that the alignment makes."""
    expected = header.start
    for tensor in header.tensors:
        if tensor.kind not in BLOCKS:
            return None  # known to another llama.cpp, and so is its size
        if tensor.offset != expected:
            place = f"tensor {tensor.name!r} lies at byte {tensor.offset}, expected is {expected}"
            return f"is not usable: {place}: another program's file, or damaged; take the same model as Q4_0"
        expected += -(-tensor.size // header.alignment) * header.alignment
    return None


def no_numbers(header: Header, architecture: str) -> str | None:
    """Why load_hparams in src/llama-model.cpp would fail: a number that every model needs is missing, or is none."""
    for key in NEEDED:
        name = f"{architecture}.{key}"
        number = header.keys.get(name)
        if number is None:
            return f"has no {name}: it is no language model, or damaged; fetch it again"
        if type(number) is not int or not 0 < number <= 0xFFFFFFFF:
            return f"says that its {name} is {short_json(number)}: must be a number over 0; fetch it again"
    return None


def no_layers(header: Header, architecture: str) -> str | None:
    """Why the layers cannot be: more than llama.cpp has room for, or a list by layer of another length."""
    layers = header.keys[f"{architecture}.block_count"]
    if int(layers) > MOST_LAYERS:
        return f"says that it has {layers} layers, where llama.cpp takes {MOST_LAYERS}: it is damaged, fetch it again"
    for key in PER_LAYER:
        name = f"{architecture}.{key}"
        if header.lengths.get(name, layers) != layers or type(header.keys.get(name, 0)) is not int:
            seen = f"a list of {header.lengths[name]}" if name in header.lengths else short_json(header.keys[name])
            return f"says that its {name} is {seen}: must be a number, or {layers}, by layer; convert the model again"
    return None


def part_count(header: Header) -> int:
    """How many files the model was split into; 0 when it was not split."""
    count = header.keys.get("split.count", 0)
    return count if isinstance(count, int) and count > 1 else 0


def part_count_in_name(name: str) -> int:
    """As `part_count`, by a name as llama-gguf-split makes: x-00001-of-00003.gguf. For a file that is not here yet."""
    found = re.search(r"[-_.](?:part)?[-_]?\d+[-_]?of[-_]?(\d{1,9})\.gguf\Z", name, re.IGNORECASE)
    return int(found[1]) if found else 0


def part_names(first: str) -> list[str]:
    """The names of all parts of the model whose first part is named so; none for a name that is no first part's."""
    count = part_count_in_name(first)
    end = f"-00001-of-{count:05}.gguf"
    stem = first.removesuffix(end)
    whole = 1 < count <= MOST_PARTS and stem != first
    return [f"{stem}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1)] if whole else []


def lone_part(header: Header, path: Path) -> str | None:
    """Why llama-server would not load the split model that begins at `path`; None when all of its parts are there."""
    count, names = part_count(header), part_names(path.name)
    if not count or (len(names) == count and all(path.with_name(name).exists() for name in names)):
        return None
    first = f"-00001-of-{count:05}.gguf"
    return f"is one of {count} parts of a model: put all here and choose the one that ends in {first}, or {ONE_FILE}"
