"""The prompts that a server is to read before the first client asks: a folder of bodies of requests, in JSON."""

import json
from pathlib import Path
from typing import Any

from deploy.errors import BoardllamaError, shown
from deploy.onboard.json_parts import parse_json
from deploy.paths import user_path

LARGEST = 1_000_000  # bytes of a body: more than any context of these boards holds


def read_warm_prompts(folder: str) -> dict[str, bytes]:
    """The *.json files of the folder by name, in the order of their names; none for "".

    Raises BoardllamaError for a folder that is not there or holds none, and for a file that is no body of a request.
    """
    if not folder:
        return {}
    files = sorted(user_path("warm_prompts", folder).glob("*.json"))
    if not files:
        raise BoardllamaError(f"warm_prompts is {shown(folder)}: must be a folder of this computer with *.json in it")
    return {file.name: checked_prompt(file) for file in files}


def checked_prompt(file: Path) -> bytes:
    """The bytes of a body. Raises BoardllamaError, by name, for what is none."""
    try:
        content = file.read_bytes()
        body = parse_json(content)
    except OSError as error:
        raise BoardllamaError(f"warm_prompts: {shown(str(file))} cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise BoardllamaError(
            f"warm_prompts: {shown(str(file))}, line {error.lineno}, column {error.colno}: {error.msg}; must be JSON"
        ) from None
    except ValueError:
        raise BoardllamaError(f"warm_prompts: {shown(str(file))} is no JSON text") from None
    if len(content) > LARGEST or not is_request(body) or not file.name.isprintable():
        raise BoardllamaError(
            f"warm_prompts: {shown(str(file))} is no request: must be an object with messages, as "
            f"/v1/chat/completions takes it, or with prompt, of {LARGEST} bytes at most, under a printable name"
        )
    return content


def is_request(body: Any) -> bool:
    """Whether a server can be asked that: a conversation, or a text to go on with."""
    if not isinstance(body, dict):
        return False
    messages, prompt = body.get("messages"), body.get("prompt")
    return (
        bool(messages) and isinstance(messages, list)
        if "messages" in body
        else bool(prompt and isinstance(prompt, str))
    )
