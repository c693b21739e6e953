"""The table of what llama-server may be told by config.json."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ..service import OLLAMA
from .value_rules import (
    ADDRESS,
    ALIAS,
    ARGUMENTS,
    CORES,
    FOLDER,
    MODEL,
    NO_GPU,
    TEMPLATE,
    YES_NO,
    Rule,
    number_between,
    one_of,
    or_null,
    whole_number,
)

LOG_LEVELS = {"error": 1, "warning": 2, "info": 3, "trace": 4, "debug": 5}
LOG_FORMATS = {"text": "--no-log-jsonl", "json": "--log-jsonl"}
REASONING = ("off", "auto", "on")
# What the numbers of the cache are stored as. All of them need flash attention, which bounds.py switches on.
CACHE_TYPES = ("f16", "q8_0", "q4_0")
# Guesses at the next tokens from those that were there before, and how many at most: --spec-…-size-m, --spec-…-n-max.
SPECULATIVE = {"none": 0, "ngram-simple": 48, "ngram-map-k": 48, "ngram-map-k4v": 48, "ngram-mod": 64}
# Copies of what a sliding window or a recurrent layer holds, kept for each slot so that the next turn does not read the
# whole conversation again. The last one stands right before the answer, where a template that leaves out the thinking
# departs from what was generated. A second one stays where the first prompt ended: conversations with recurrent models
# that begin alike part there.
CHECKPOINTS = 1
Config = dict[str, dict[str, Any]]


class Key(NamedTuple):
    """One key of config.json: its default, its rule, and the llama-server arguments that it becomes.

    `arguments` is not asked about null: a key that is null tells llama-server nothing.
    """

    default: Any
    rule: Rule
    arguments: Callable[[Any], list[str]]


def flag_value(name: str) -> Callable[[Any], list[str]]:
    """Arguments for a key that becomes the flag `name` and its value."""
    return lambda value: [name, str(value)]


def no_arguments(_value: Any) -> list[str]:
    """Arguments for a key that `server_command` reads together with others."""
    return []


KEYS: dict[str, dict[str, Key]] = {
    "server": {
        "host": Key("127.0.0.1", ADDRESS, flag_value("--host")),
        "port": Key(OLLAMA.port, whole_number(1, 65535), flag_value("--port")),
        "timeout": Key(300, whole_number(1, 86400, " seconds"), flag_value("--timeout")),
        "allow_unauthenticated": Key(False, YES_NO, no_arguments),
    },
    "models": {
        "path": Key(str(OLLAMA.models), FOLDER, no_arguments),
        "default_model": Key(None, MODEL, no_arguments),
        "default_context_size": Key(
            2048, whole_number(0, 1 << 24, " tokens (0: the model's own)"), flag_value("--ctx-size")
        ),
        "default_threads": Key(0, whole_number(0, 1024, " (0: one per fast core)"), no_arguments),
        "default_batch_threads": Key(0, whole_number(0, 1024, " (0: as many as default_threads)"), no_arguments),
        "default_cores": Key("", CORES, no_arguments),
        "alias": Key(None, or_null(ALIAS), no_arguments),
        "chat_template": Key(None, or_null(TEMPLATE), flag_value("--chat-template")),
        "sleep_after": Key(
            0, whole_number(0, 1 << 30, " seconds (0: never)"), lambda v: ["--sleep-idle-seconds", str(v or -1)]
        ),
    },
    "inference": {
        "gpu_layers": Key(0, NO_GPU, no_arguments),
        "repack": Key(True, YES_NO, lambda v: ["--repack" if v else "--no-repack"]),
        "batch_size": Key(512, whole_number(1, 1 << 16, " tokens"), flag_value("--batch-size")),
        "parallel": Key(4, whole_number(1, 32), flag_value("--parallel")),
        "checkpoints": Key(CHECKPOINTS, whole_number(1, 32), flag_value("--ctx-checkpoints")),
        "kv_cache": Key("f16", one_of(CACHE_TYPES), lambda v: ["--cache-type-k", v, "--cache-type-v", v]),
        "prompt_cache": Key(0, whole_number(0, 1 << 20, " MiB (0: none)"), flag_value("--cache-ram")),
        "speculative": Key("none", one_of(SPECULATIVE), flag_value("--spec-type")),
        "image_tokens": Key(None, or_null(whole_number(1, 1 << 16)), flag_value("--image-max-tokens")),
        "temperature": Key(None, or_null(number_between(0, 10)), flag_value("--temp")),
        "top_p": Key(None, or_null(number_between(0, 1)), flag_value("--top-p")),
        "top_k": Key(None, or_null(whole_number(0, 1 << 20, " (0: all)")), flag_value("--top-k")),
        "min_p": Key(None, or_null(number_between(0, 1)), flag_value("--min-p")),
        "repeat_penalty": Key(None, or_null(number_between(0, 10)), flag_value("--repeat-penalty")),
        "presence_penalty": Key(None, or_null(number_between(-2, 2)), flag_value("--presence-penalty")),
        "max_tokens": Key(None, or_null(whole_number(1, 1 << 24, " tokens")), flag_value("--predict")),
        "reasoning": Key(None, or_null(one_of(REASONING)), flag_value("--reasoning")),
        "reasoning_budget": Key(None, or_null(whole_number(0, 1 << 24, " tokens")), flag_value("--reasoning-budget")),
        "extra_arguments": Key([], ARGUMENTS, list),
    },
    "logging": {
        "level": Key("info", one_of(LOG_LEVELS), lambda v: ["--log-verbosity", str(LOG_LEVELS[v])]),
        "format": Key("text", one_of(LOG_FORMATS), lambda v: [LOG_FORMATS[v]]),
    },
}


def config_arguments(config: Config) -> list[str]:
    """llama-server's arguments by the keys of a complete `config`."""
    told = ((key, config[section][name]) for section, keys in KEYS.items() for name, key in keys.items())
    return [word for key, value in told if value is not None for word in key.arguments(value)]
