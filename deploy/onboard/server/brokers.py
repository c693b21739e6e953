"""How the services without a model are started: they are told the llama-servers of their release."""

import json
import sys

from ..release.releases import Release
from ..service import FRONT, OLLAMA_API, Service
from .config import load_config
from .config_keys import Config
from .launch import alias_of

VERBS = {FRONT: "front", OLLAMA_API: "ollama-api"}
# The paths that belong to a broker alone, whoever is behind the front.
PREFIXES = {OLLAMA_API: "/api/"}
# Requests that a broker takes at once: as many as may wait for models there.
SLOTS = {OLLAMA_API: 16}


def broker_command(config: Config, release: Release, service: Service) -> list[str]:
    """The argument vector of a broker. Raises ConfigError when the config of a server cannot be used."""
    server = config["server"]
    routes = [route_of(release, one) for one in release.services if one.role != FRONT and one != service]
    told = {**{name: server[name] for name in ("host", "port", "timeout")}, "routes": routes}
    return [sys.executable, "-IS", str(release.folder / "boardllama"), VERBS[service.role], json.dumps(told)]


def route_of(release: Release, service: Service) -> dict[str, object]:
    """A service as its brokers are told of it: the fields of front.routes.Route. Raises ConfigError."""
    config = load_config(service, release.config(service))
    file = config["models"]["default_model"] or release.model(service) or ""
    return {
        "name": config["models"]["alias"] or alias_of(file) or service.name,
        "file": file,
        "role": service.role,
        "port": config["server"]["port"],
        "slots": SLOTS.get(service.role) or config["inference"]["parallel"],
        "prefix": PREFIXES.get(service.role, ""),
        "started": str(service.started),
    }
