"""/api/generate: a prompt that becomes a chat, is taken as it stands (raw), or is what stands before a gap (suffix)."""

from typing import Any

from ..wire.message import Declined
from .chat import answer_fields, content_parts
from .options import sampling_of, schema_of

# What Ollama takes with a prompt and llama-server cannot: fields that would change the answer, so nobody drops them.
UNKNOWN = {
    "template": "the server applies the model's own chat template: leave it out, or send a raw prompt",
    "context": "the server keeps no context of an answer: send the conversation to /api/chat",
}


def generate_call(model: str, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Where to ask upstream, and the body. Raises Declined with what is wrong."""
    for name in ("prompt", "system", "suffix"):
        if not isinstance(request.get(name) or "", str):
            raise Declined(400, f"{name} must be a text")
    for name, advice in UNKNOWN.items():
        if request.get(name):
            raise Declined(400, f"{name} is not supported: {advice}")
    if request.get("raw"):
        return "/completion", raw_body(model, request)
    if request.get("suffix"):
        return "/infill", gap_body(model, request)
    return "/v1/chat/completions", prompt_body(model, request)


def prompt_body(model: str, request: dict[str, Any]) -> dict[str, Any]:
    """The prompt as the message of a user, after the system message that goes with it."""
    system = [{"role": "system", "content": request["system"]}] if request.get("system") else []
    content = content_parts(request.get("prompt"), request.get("images"))
    messages = [*system, {"role": "user", "content": content}]
    return {"model": model, "messages": messages} | answer_fields(request)


def raw_body(model: str, request: dict[str, Any]) -> dict[str, Any]:
    """The prompt as it stands, for /completion."""
    if request.get("system") or request.get("images"):
        raise Declined(400, "raw mode does not support system or images")
    body = {"model": model, "prompt": request.get("prompt") or "", "stream": True}
    if schema := schema_of(request.get("format")):
        body["json_schema"] = schema
    return body | text_sampling(request)


def gap_body(model: str, request: dict[str, Any]) -> dict[str, Any]:
    """Prompt and suffix, for /infill. A model without tokens for it is declined by the server."""
    gap = {"input_prefix": request.get("prompt") or "", "input_suffix": request["suffix"], "prompt": ""}
    return {"model": model, **gap, "stream": True} | text_sampling(request)


def text_sampling(request: dict[str, Any]) -> dict[str, Any]:
    """The options, for the endpoints that are llama-server's own and call the limit n_predict."""
    fields = sampling_of(request.get("options"))
    return {"n_predict" if name == "max_tokens" else name: value for name, value in fields.items()}
