"""/api/chat: a conversation, in Ollama's words and in OpenAI's."""

import json
from typing import Any

from ..wire.message import Declined
from .options import sampling_of, schema_of, thinking_of

ROLES = ("system", "user", "assistant", "tool")


def chat_body(model: str, request: dict[str, Any]) -> dict[str, Any]:
    """The body of a request to /v1/chat/completions. Raises Declined with what is wrong."""
    body = {"model": model, "messages": openai_messages(request.get("messages"))}
    if tools := request.get("tools"):
        body["tools"] = tools
    return body | answer_fields(request)


def answer_fields(request: dict[str, Any]) -> dict[str, Any]:
    """What a request for a chat says of its answer. The answer is streamed in any case: see answers.py."""
    fields: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    fields |= sampling_of(request.get("options")) | thinking_of(request.get("think"))
    if schema := schema_of(request.get("format")):
        fields["response_format"] = {"type": "json_object", "schema": schema}
    return fields


def openai_messages(messages: Any) -> list[dict[str, Any]]:
    """The messages in OpenAI's form. Raises Declined when they are none."""
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise Declined(400, "messages must be a list of objects")
    called: list[tuple[str, str]] = []  # name and id of the calls that have no result yet
    return [openai_message(message, called) for message in messages]


def openai_message(message: dict[str, Any], called: list[tuple[str, str]]) -> dict[str, Any]:
    """A message in OpenAI's form. `called` gets the calls of tools that it makes, and loses the one that it answers."""
    role = message.get("role")
    if role not in ROLES:
        raise Declined(400, f"role of a message must be one of {', '.join(ROLES)}")
    made: dict[str, Any] = {"role": role, "content": content_parts(message.get("content"), message.get("images"))}
    if thinking := message.get("thinking"):
        made["reasoning_content"] = thinking
    if calls := message.get("tool_calls"):
        made["tool_calls"] = openai_calls(calls, called)
    if role == "tool":
        made["tool_call_id"] = call_answered(message, called)
    return made


def content_parts(text: Any, images: Any) -> Any:
    """The content: a text, or with images a list of parts. Raises Declined for images that are no list of texts."""
    if text is not None and not isinstance(text, str):
        raise Declined(400, "content of a message must be a text")
    if not images:
        return text or ""
    if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
        raise Declined(400, "images must be a list of base64 texts")
    # Taken out of the request, since each may be large. llama-server looks into the bytes for the kind of the image.
    urls = ["data:image/png;base64," + images.pop(0).rpartition(",")[2] for _ in range(len(images))]
    return [{"type": "text", "text": text or ""}, *({"type": "image_url", "image_url": {"url": url}} for url in urls)]


def openai_calls(calls: Any, called: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Calls of tools in OpenAI's form: arguments are JSON within JSON, and each call has an id."""
    made = []
    for number, call in enumerate(calls if isinstance(calls, list) else [None]):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise Declined(400, "tool_calls must be a list of objects with function.name")
        name, known = function["name"], call.get("id") or f"call_{len(called)}_{number}"
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
        called.append((name, known))
        made.append({"id": known, "type": "function", "function": {"name": name, "arguments": text}})
    return made


def call_answered(message: dict[str, Any], called: list[tuple[str, str]]) -> str:
    """The id of the call whose result this is: the one named, else the first of the tool's name, else the first."""
    if known := message.get("tool_call_id"):
        return str(known)
    name = message.get("tool_name") or message.get("name")
    found = next((call for call in called if call[0] == name), called[0] if called else None)
    if found is None:
        return "call"
    called.remove(found)
    return found[1]
