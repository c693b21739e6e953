"""The models that are served, as Ollama names and describes them."""

from typing import Any

from ..front.routes import Route
from ..wire.message import Declined
from .answers import timestamp

TAG = ":latest"
# Ollama's own word for a model that is never unloaded: the year is its largest duration from now.
NEVER = "2318-01-01T00:00:00Z"
# Clients read a digest's first digits. A served file says no checksum of itself.
NO_DIGEST = "0" * 64
THINKING_MARKS = ("enable_thinking", "reasoning_effort", "<think>", "thinking")


def tagged(name: str) -> str:
    """The name with a tag, as Ollama's clients expect each."""
    return name if ":" in name else name + TAG


def find_route(name: Any, routes: list[Route]) -> Route:
    """The server of the model of that name, with or without its tag. Raises Declined with the names that are here."""
    if not isinstance(name, str) or not name:
        raise Declined(400, "model is required")
    wanted = name.lower().removesuffix(TAG)
    for route in routes:
        if wanted in (known.lower().removesuffix(TAG) for known in (route.name, route.file)):
            return route
    here = ", ".join(tagged(route.name) for route in routes)
    raise Declined(404, f"model '{name[:200]}' not found: this board serves {here}")


def listed_model(route: Route, about: dict[str, Any]) -> dict[str, Any]:
    """What /api/tags says of a model. `about`: what its server says of it in /v1/models; {} while that does not run."""
    meta, name = about.get("meta") or {}, tagged(route.name)
    entry = {"name": name, "model": name, "modified_at": timestamp(about.get("created") or 0)}
    return entry | {"size": meta.get("size") or 0, "digest": NO_DIGEST, "details": details_of(meta)}


def details_of(meta: dict[str, Any]) -> dict[str, Any]:
    """What kind of file it is."""
    kind = {"parent_model": "", "format": "gguf", "family": "", "families": []}
    return kind | {"parameter_size": short_count(meta.get("n_params")), "quantization_level": meta.get("ftype") or ""}


def short_count(count: Any) -> str:
    """Parameters as people say them: 134.52M, 2.0B; "" when unknown."""
    if not count:
        return ""
    return f"{count / 1e9:.1f}B" if count >= 1e9 else f"{count / 1e6:.2f}M"


def loaded_model(route: Route, about: dict[str, Any]) -> dict[str, Any]:
    """What /api/ps says of a model. `about` as for `listed_model`."""
    entry = {name: value for name, value in listed_model(route, about).items() if name != "modified_at"}
    return entry | {"expires_at": NEVER, "size_vram": 0, "context_length": (about.get("meta") or {}).get("n_ctx") or 0}


def shown_model(route: Route, about: dict[str, Any], props: dict[str, Any]) -> dict[str, Any]:
    """What /api/show says of a model. `about` as for `listed_model`; `props`: what its server says in /props."""
    meta, template = about.get("meta") or {}, props.get("chat_template") or ""
    context = meta.get("n_ctx") or 0
    facts = {
        "general.architecture": "gguf",
        "general.parameter_count": meta.get("n_params") or 0,
        "gguf.context_length": context,
        "gguf.embedding_length": meta.get("n_embd") or 0,
    }
    return {
        "modelfile": f"# served by llama-server\nFROM {tagged(route.name)}\n",
        "parameters": f"num_ctx {context}",
        "template": template,
        "details": details_of(meta),
        "model_info": facts,
        "capabilities": {"chat": chat_skills(props), "embed": ["embedding"]}.get(route.role, []),
        "modified_at": timestamp(about.get("created") or 0),
    }


def chat_skills(props: dict[str, Any]) -> list[str]:
    """What a model can do in a chat, in Ollama's words."""
    skills = {
        "completion": True,
        "tools": props.get("chat_template_caps", {}).get("supports_tools"),
        "vision": props.get("modalities", {}).get("vision"),
        "thinking": can_think(props),
    }
    return [name for name, can in skills.items() if can]


def can_think(props: dict[str, Any]) -> bool:
    """Whether the model's template has a place for thinking."""
    return any(mark in (props.get("chat_template") or "") for mark in THINKING_MARKS)
