"""What a board offers to gateways: asked of what runs on it, which a failed deploy, an edit of its config.json or a
model that its memory chose may have made another than its settings say.
"""

import json

from pyinfra.api.host import Host

from deploy.errors import BoardllamaError
from deploy.hosts.addresses import served_address
from deploy.hosts.facts import Text
from deploy.hosts.snapshot import Snapshot
from deploy.onboard.gateway.board_table import BoardEntry, ServedModel
from deploy.onboard.server.config import is_local, with_defaults
from deploy.onboard.server.config_keys import Config
from deploy.onboard.server.launch import alias_of
from deploy.onboard.service import FRONT, OLLAMA, Service
from deploy.settings import Settings


def config_paths(settings: Settings) -> list[str]:
    """The files of a board that say what it offers."""
    return [str(service.config) for service in settings.services]


def entry_of(host: Host, settings: Settings, snapshot: Snapshot) -> BoardEntry | None:
    """What the board offers; None for a board that serves nothing yet. `snapshot` has its `config_paths`.

    Raises BoardllamaError for a board that a gateway cannot reach.
    """
    servers = [(service, server_config(snapshot.texts, service)) for service in settings.hosted]
    offers = tuple(served_model(service, config) for service, config in servers if config)
    if not offers or not snapshot.status.current:
        return None
    front = [service for service in settings.brokers if service.role == FRONT]
    reached = broker_server(snapshot.texts, front[0]) if front else (servers[0][1] or {}).get("server", {})
    if why := why_unreachable(str(reached.get("host", ""))):
        raise BoardllamaError(why)
    key = snapshot.keys.get(OLLAMA.name)
    return BoardEntry(host.name, served_address(host), int(str(reached["port"])), key.sha256 if key else "", offers)


def server_config(texts: dict[str, Text], service: Service) -> Config | None:
    """The config.json that a server runs with, with its defaults; None where there is none that could be read."""
    text = texts.get(str(service.config))
    try:
        return with_defaults(json.loads(text.content), service) if text else None
    except (ValueError, AttributeError):
        return None


def broker_server(texts: dict[str, Text], service: Service) -> dict[str, object]:
    """The section `server` of the front's config; {} where it cannot be read."""
    text = texts.get(str(service.config))
    try:
        return dict(json.loads(text.content)["server"]) if text else {}
    except (ValueError, KeyError, TypeError):
        return {}


def served_model(service: Service, config: Config) -> ServedModel:
    """What a server offers, by its config."""
    models = config["models"]
    file = str(models["default_model"] or "")
    name = str(models["alias"] or alias_of(file) or service.name)
    return ServedModel(name, file, service.role, int(config["inference"]["parallel"]), bool(models["sleep_after"]))


def why_unreachable(listens_on: str) -> str:
    """Why a gateway cannot reach a board that listens there, and what to do; "" when it can."""
    if listens_on and not is_local(listens_on):
        return ""
    return (
        f"it listens on {listens_on or 'nothing'}, so no gateway reaches it and it gets no requests from there: set "
        'server_host to "0.0.0.0" and api_key to "generate"'
    )
