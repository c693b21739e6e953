"""Answers of llama-server as they come, event by event, and as Ollama tells them.

Every answer is asked for as a stream, also for a client that wants it whole: so each piece that arrives shows that the
server works, a client that goes away stops the work at once, and one translation serves both.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..json_parts import parse_json
from ..wire.message import Declined

Line = dict[str, Any]
ENCODER = json.JSONEncoder(ensure_ascii=False)


class Answer:
    """What is told of an answer so far: tools that are called, why it ended, and what it took."""

    def __init__(self, model: str) -> None:
        self.model, self.began = model, time.monotonic()
        self.calls: dict[int, dict[str, str]] = {}
        self.reason, self.prompt_tokens = "stop", 0
        self.timings: dict[str, float] = {}

    def chat_delta(self, event: dict[str, Any]) -> dict[str, str]:
        """The piece in an event of /v1/chat/completions: `content`, `thinking`, or nothing."""
        self.note_counts(event, event.get("usage") or {})
        choice: dict[str, Any] = next(iter(event.get("choices") or []), {})
        if choice.get("finish_reason"):
            self.reason = "length" if choice["finish_reason"] == "length" else "stop"
        delta = choice.get("delta") or {}
        for call in delta.get("tool_calls") or []:
            self.join_call(call)
        piece = {"content": delta.get("content"), "thinking": delta.get("reasoning_content")}
        return {name: text for name, text in piece.items() if text}

    def text_delta(self, event: dict[str, Any]) -> dict[str, str]:
        """The same of /completion and /infill."""
        self.note_counts(event, {"prompt_tokens": event.get("tokens_evaluated", 0)})
        if event.get("stop_type") == "limit":
            self.reason = "length"
        return {"content": event["content"]} if event.get("content") else {}

    def note_counts(self, event: dict[str, Any], usage: dict[str, Any]) -> None:
        """Keeps the last counts: only the last event has all."""
        self.prompt_tokens = usage.get("prompt_tokens") or self.prompt_tokens
        self.timings = event.get("timings") or self.timings

    def join_call(self, delta: dict[str, Any]) -> None:
        """Adds a piece of the call of a tool to the pieces before."""
        call = self.calls.setdefault(delta.get("index", 0), {"id": "", "name": "", "arguments": ""})
        function = delta.get("function") or {}
        call["id"] = delta.get("id") or call["id"]
        call["name"] = function.get("name") or call["name"]
        call["arguments"] += function.get("arguments") or ""

    def tool_calls(self) -> list[Line]:
        """The calls in Ollama's form: arguments are an object."""
        return [
            {
                "id": call["id"],
                "function": {"index": index, "name": call["name"], "arguments": object_of(call["arguments"])},
            }
            for index, call in sorted(self.calls.items())
        ]

    def line(self, **fields: Any) -> Line:
        """A line of the stream."""
        return {"model": self.model, "created_at": timestamp(), **fields}

    def counts(self) -> Line:
        """What the last line says of the whole: tokens, and nanoseconds."""
        return {
            "done": True,
            "done_reason": self.reason,
            "total_duration": int((time.monotonic() - self.began) * 1e9),
            "load_duration": 0,
            "prompt_eval_count": self.prompt_tokens,
            "prompt_eval_duration": int(self.timings.get("prompt_ms", 0) * 1e6),
            "eval_count": int(self.timings.get("predicted_n", 0)),
            "eval_duration": int(self.timings.get("predicted_ms", 0) * 1e6),
        }


def message_form(content: str = "", **more: Any) -> Line:
    """A piece as /api/chat tells it."""
    return {"message": {"role": "assistant", "content": content, **more}}


def response_form(content: str = "", **more: Any) -> Line:
    """A piece as /api/generate tells it."""
    return {"response": content, **more}


def answer_lines(
    answer: Answer, events: Iterator[dict[str, Any]], delta: Callable[[Any], dict[str, str]], form: Callable[..., Line]
) -> Iterator[Line]:
    """The stream that a client reads, each line as soon as its event is there. Raises Declined for an error in it."""
    for event in events:
        if error := event.get("error"):
            raise Declined(500, error_text(error))
        if piece := delta(event):
            yield answer.line(**form(**piece), done=False)
    if calls := answer.tool_calls():
        yield answer.line(**form(tool_calls=calls), done=False)
    yield answer.line(**form(), **answer.counts())


def whole_answer(lines: Iterator[Line], form: Callable[..., Line]) -> Line:
    """The lines of a stream as one answer."""
    texts: dict[str, list[str]] = {"content": [], "thinking": []}
    more: Line = {}
    last: Line = {}
    for last in lines:
        piece = last.get("message") or {"content": last.get("response"), **last}
        for name, pieces in texts.items():
            pieces.append(piece.get(name) or "")
        more = {"tool_calls": piece["tool_calls"]} if "tool_calls" in piece else more
    joined = {name: text for name, pieces in texts.items() if (text := "".join(pieces))}
    return last | form(**joined, **more)


def events_of(pieces: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """The events of a stream of server-sent events, up to [DONE]."""
    held = b""
    for piece in pieces:
        *lines, held = (held + piece).split(b"\n")
        for line in lines:
            name, _, data = line.partition(b":")
            if name == b"data" and data.strip() != b"[DONE]":
                yield event_of(data)
            elif name == b"error":
                yield {"error": event_of(data)}


def event_of(data: bytes) -> Any:
    """What an event holds. Raises Declined when it is no JSON."""
    try:
        return parse_json(data)
    except ValueError:
        raise Declined(502, "the model's server answered with what is no JSON") from None


def error_text(error: Any) -> str:
    """The words of an error of llama-server, or of what else stands there."""
    return str(error.get("message", error) if isinstance(error, dict) else error)[:1000]


def object_of(text: str) -> Any:
    """The arguments of a tool as an object. A model may write what is no JSON; its words are then under `text`."""
    try:
        found = parse_json(text or "{}")
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"text": text}


def timestamp(seconds: int | None = None) -> str:
    """Now, or a Unix time, as Ollama writes times."""
    now = time.time_ns() if seconds is None else seconds * 10**9
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9)) + f".{now % 10**9:09d}Z"


def json_bytes(value: Any) -> bytes:
    """The value as JSON in UTF-8. What is half a character cannot be written in it, and becomes a question mark."""
    return ENCODER.encode(value).encode("utf-8", "replace")
