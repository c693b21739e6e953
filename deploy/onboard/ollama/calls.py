"""Every call of Ollama's API, and what answers it."""

from collections.abc import Callable, Iterator

from ..front.routes import Route
from ..wire.message import Declined
from .answers import Answer, Line, answer_lines, message_form, response_form, whole_answer
from .call import Call
from .chat import chat_body
from .embeddings import answer_embed, answer_embeddings
from .generate import generate_call
from .models import can_think, listed_model, loaded_model, shown_model

# The version of Ollama whose documented API this is. Clients compare it with the oldest that they want.
VERSION = "0.12.6"
UNLOADED = (0, "0", "0s", "0m", "0h")
KEPT = "this board serves what its deploy brought: models are changed there, not over the network"


def answer_root(call: Call) -> None:
    """What people and scripts look for at the address."""
    call.reply.send_whole(b"Ollama is running", "text/plain; charset=utf-8")


def answer_version(call: Call) -> None:
    """Clients test a key with this call too."""
    call.require_key()
    call.reply.send_json({"version": VERSION})


def answer_tags(call: Call) -> None:
    """The models that are served, also those whose servers do not run, but not while none does."""
    call.require_key()
    call.reply.send_json({"models": [listed_model(route, call.describe(route)) for route in call.routes]})


def answer_ps(call: Call) -> None:
    """The models in memory: those whose servers run."""
    call.require_key()
    loaded = ((route, about) for route in call.routes if (about := call.describe(route)))
    call.reply.send_json({"models": [loaded_model(route, about) for route, about in loaded]})


def answer_show(call: Call) -> None:
    """What a model is, and what it can do."""
    route = call.find_route()
    call.reply.send_json(shown_model(route, call.describe(route), call.read_props(route)))


def answer_pull(call: Call) -> None:
    """A model that is here is there at once, another one is not fetched."""
    call.require_key()
    try:
        call.find_route()
    except Declined as declined:
        raise Declined(declined.status, f"{declined}; {KEPT}") from None
    steps = ["pulling manifest", "verifying sha256 digest", "success"]
    lines: Iterator[Line] = ({"status": step} for step in steps)
    send_answer(call, lines, lambda told: list(told)[-1])


def answer_chat(call: Call) -> None:
    """A conversation, of which the client sends all that was said."""
    route = call.find_route("chat")
    if not call.body.get("messages"):
        return call.reply.send_json(idle_answer(call, message_form))
    require_thinking(call, route)
    answer = Answer(call.name)
    events = call.stream(route, "/v1/chat/completions", chat_body(route.name, call.body))
    lines = answer_lines(answer, events, answer.chat_delta, message_form)
    return send_answer(call, lines, lambda told: whole_answer(told, message_form))


def answer_generate(call: Call) -> None:
    """A prompt, with which no conversation goes."""
    route = call.find_route("chat")
    if not call.body.get("prompt") and not call.body.get("suffix"):
        return call.reply.send_json(idle_answer(call, response_form))
    require_thinking(call, route)
    answer = Answer(call.name)
    path, body = generate_call(route.name, call.body)
    delta = answer.chat_delta if path == "/v1/chat/completions" else answer.text_delta
    lines = answer_lines(answer, call.stream(route, path, body), delta, response_form)
    return send_answer(call, lines, lambda told: whole_answer(told, response_form))


def idle_answer(call: Call, form: Callable[..., Line]) -> Line:
    """The answer to a request without words, with which Ollama loads a model or unloads it. Here it stays loaded."""
    call.require_key()
    reason = "unload" if call.body.get("keep_alive") in UNLOADED else "load"
    return Answer(call.name).line(**form(), done=True, done_reason=reason)


def require_thinking(call: Call, route: Route) -> None:
    """Raises Declined when thinking is asked of a model that has none."""
    if call.body.get("think") and not can_think(call.read_props(route)):
        raise Declined(400, f'"{call.name}" does not support thinking')


def send_answer(call: Call, lines: Iterator[Line], joined: Callable[[Iterator[Line]], Line]) -> None:
    """Sends the lines as they come, or joined where the request says `stream: false`."""
    if call.body.get("stream") is False:
        call.reply.send_json(joined(lines))
    else:
        call.reply.send_lines(lines)


def decline_change(call: Call) -> None:
    """Raises Declined: no client changes what a board serves."""
    call.require_key()
    raise Declined(501, f"{call.head.words[1]} is not supported: {KEPT}")


Answerer = Callable[[Call], None]
READ: dict[str, Answerer] = {
    "/": answer_root,
    "/api/version": answer_version,
    "/api/tags": answer_tags,
    "/api/ps": answer_ps,
}
TOLD: dict[str, Answerer] = {"/api/show": answer_show, "/api/pull": answer_pull}
WORK: dict[str, Answerer] = {
    "/api/chat": answer_chat,
    "/api/generate": answer_generate,
    "/api/embed": answer_embed,
    "/api/embeddings": answer_embeddings,
}
CHANGES, BLOBS = ("/api/create", "/api/copy", "/api/push", "/api/delete"), "/api/blobs/"
