"""`options` of a request: which of them a request to llama-server has too, and under which name."""

from typing import Any

from ..wire.message import Declined

NUMBERS = (
    *("temperature", "top_k", "top_p", "min_p", "typical_p", "seed"),
    *("repeat_penalty", "repeat_last_n", "presence_penalty", "frequency_penalty"),
    *("mirostat", "mirostat_tau", "mirostat_eta"),
)
MOST = 1e15
# What Ollama says when it loads a model. Here the server is started with them, by config.json, for all requests.
OF_THE_SERVER = (
    *("num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "num_keep", "numa", "low_vram", "f16_kv"),
    *("use_mmap", "use_mlock", "vocab_only", "logits_all", "penalize_newline", "tfs_z"),
)


def sampling_of(options: Any) -> dict[str, Any]:
    """The fields that say the same to llama-server. Raises Declined for a value of another kind; an option that
    neither table names is left out, as Ollama does.
    """
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise Declined(400, "options must be an object")
    given = {name: value for name, value in options.items() if value is not None}
    fields: dict[str, Any] = {name: require_number(name, given[name]) for name in NUMBERS if name in given}
    if "num_predict" in given:
        # -2 fills the context, which is also where -1 ends.
        fields["max_tokens"] = max(-1, int(require_number("num_predict", given["num_predict"])))
    if "stop" in given:
        fields["stop"] = require_stops(given["stop"])
    return fields


def require_number(name: str, value: Any) -> float:
    """The value. Raises Declined when it is no number, or an endless one: Python reads 1e999 as that."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -MOST < value < MOST:
        raise Declined(400, f'option "{name}" must be a number')
    return value


def require_stops(value: Any) -> list[str]:
    """The texts to stop at. Raises Declined when they are none."""
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise Declined(400, 'option "stop" must be a list of texts')
    return stops


def schema_of(wanted: Any) -> dict[str, Any] | None:
    """The JSON schema that `format` means; None for free text. Raises Declined for another value."""
    if wanted in (None, "", {}):
        return None
    if wanted == "json":
        return {"type": "object"}
    if isinstance(wanted, dict):
        return wanted
    raise Declined(400, 'format must be "json" or a JSON schema')


def thinking_of(think: Any) -> dict[str, Any]:
    """The fields for `think`: none where the request leaves it to the server. Raises Declined for another value."""
    if think is None:
        return {}
    if think is False:
        return {"reasoning_effort": "none"}
    if think is True:
        return {"chat_template_kwargs": {"enable_thinking": True}}
    if think in ("low", "medium", "high", "max"):
        return {"reasoning_effort": think, "chat_template_kwargs": {"enable_thinking": True}}
    raise Declined(400, 'think must be true, false, "low", "medium", "high" or "max"')
