"""What a board offers to gateways: asked of what runs on it, which a failed deploy, an edit of its config.json or a
model that its memory chose may have made another than its settings say.
"""

from contextlib import suppress

from pyinfra.api.host import Host
from pyinfra.connectors.local import LocalConnector

from deploy.errors import BoardllamaError
from deploy.hosts.addresses import is_loopback, served_address
from deploy.hosts.facts import Text
from deploy.hosts.snapshot import Snapshot, snapshot_of
from deploy.hosts.target import settings_of
from deploy.onboard.gateway.board_table import BoardEntry, ServedModel
from deploy.onboard.json_parts import parse_json
from deploy.onboard.server.config import is_local, with_defaults
from deploy.onboard.server.config_keys import Config
from deploy.onboard.server.launch import alias_of
from deploy.onboard.service import FRONT, OLLAMA, Service
from deploy.settings import Settings


class Unoffered(BoardllamaError):
    """The board serves nothing that a gateway could reach. The message says what to do."""


def offered_entry(host: Host) -> BoardEntry:
    """What the board offers now. Raises Unoffered, and DeployError for settings that are wrong."""
    settings = settings_of(host)
    entry = entry_of(host, settings, snapshot_of(host, *config_paths(settings)))
    if entry is None:
        raise Unoffered("it serves nothing yet")
    return entry


def config_paths(settings: Settings) -> list[str]:
    """The files of a board that say what it offers."""
    return [str(service.config) for service in settings.services]


def entry_of(host: Host, settings: Settings, snapshot: Snapshot) -> BoardEntry | None:
    """What the board offers; None for a board that serves nothing yet. `snapshot` has its `config_paths`.

    Raises Unoffered for a board that a gateway cannot reach.
    """
    servers = [(service, server_config(snapshot.texts, service)) for service in settings.hosted]
    offers = tuple(served_model(service, config) for service, config in servers if config)
    if not offers or not snapshot.status.current:
        return None
    front = [service for service in settings.brokers if service.role == FRONT]
    reached = broker_server(snapshot.texts, front[0]) if front else (servers[0][1] or {}).get("server", {})
    if why := why_unreachable(str(reached.get("host", ""))):
        raise Unoffered(why)
    key, address = snapshot.keys.get(OLLAMA.name), served_address(host)
    if is_loopback_elsewhere(host, address):
        raise Unoffered(f"{address} is another computer to a gateway: set server_address to where gateways reach it")
    return BoardEntry(host.name, address, int(str(reached["port"])), key.sha256 if key else "", offers)


def is_loopback_elsewhere(host: Host, address: str) -> bool:
    """Whether the address, by which this controller reaches the board, means another computer to some gateway."""
    gateways = host.state.inventory.groups.get("gateways", [])
    if all(issubclass(one.connector_cls, LocalConnector) for one in gateways):
        return False
    with suppress(BoardllamaError):  # the gateway may know a name that the controller does not
        return is_loopback(address)
    return False


def server_config(texts: dict[str, Text], service: Service) -> Config | None:
    """The config.json that a server runs with, with its defaults; None where there is none that could be read."""
    text = texts.get(str(service.config))
    try:
        return with_defaults(parse_json(text.content), service) if text else None
    except (ValueError, AttributeError):
        return None


def broker_server(texts: dict[str, Text], service: Service) -> dict[str, object]:
    """The section `server` of the front's config; {} where it cannot be read."""
    text = texts.get(str(service.config))
    try:
        return dict(parse_json(text.content)["server"]) if text else {}
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
