"""What a served model can, by what its server says of itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..service import CHAT, EMBED, RERANK

BY_ROLE = {CHAT: "chat", EMBED: "embeddings", RERANK: "scores"}
# What a template says when it lets a model think before it answers.
THINKING = ("enable_thinking", "<think>", "reasoning_content", "<|channel|>")


def abilities_of(props: Mapping[str, Any], role: str) -> tuple[str, ...]:
    """Words for what a model can: "chat", "tools", "thinking", "vision", "video", "audio"; "embeddings"; "scores".

    `props`: the answer of /props. Whether vectors or scores are answered is not in it: a server is started for that.
    """
    return (BY_ROLE[role], *(chat_abilities(props) if role == CHAT else ()))


def chat_abilities(props: Mapping[str, Any]) -> Iterator[str]:
    """What a chat can beside text. A template without a word about tools gives them to the model as text."""
    template, understood = str(props.get("chat_template", "")), props.get("chat_template_caps") or {}
    if understood.get("supports_tools") or understood.get("supports_tool_calls"):
        yield "tools"
    if any(word in template for word in THINKING):
        yield "thinking"
    yield from (name for name, has in (props.get("modalities") or {}).items() if has)
