"""Reads config.json: what it says by the table of its keys, and what is wrong with it."""

import ipaddress
import json
import re
from pathlib import Path
from typing import Any

from ..files import error_reason
from ..json_parts import parse_json
from ..service import Service
from ..spelling import nearest_name, printable_text
from .config_keys import KEYS, Config
from .value_rules import short_json


class ConfigError(Exception):
    """The configuration cannot be used. The message is one line: what was seen, where, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(printable_text(message))


def read_config(path: Path) -> Any:
    """The file's JSON. Raises ConfigError, with line and column where the text is no JSON."""
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}: line {error.lineno}, column {error.colno}: {error.msg}; JSON has no comments and no "
            f"trailing comma"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error_reason(error)}") from None


def config_problems(config: Any, service: Service, keyed: bool) -> list[str]:
    """A sentence for each breach of the table; empty when the service can be started with `config`.

    `keyed` says whether the service has an API key.
    """
    if not isinstance(config, dict):
        return [f"the file holds {json.dumps(config)}: must be an object with {', '.join(KEYS)}"]
    found = []
    for section, values in config.items():
        if section not in KEYS:
            found.append(unknown_key(section, list(KEYS)))
        elif not isinstance(values, dict):
            found.append(f"{section} is {json.dumps(values)}: must be an object with {', '.join(KEYS[section])}")
        else:
            found += [breach for key, value in values.items() for breach in key_breaches(section, key, value)]
    return found or exposure_problems(with_defaults(config, service)["server"], service, keyed)


def key_breaches(section: str, key: str, value: Any) -> list[str]:
    """What is wrong with a key of a section: a sentence, or nothing."""
    if key not in KEYS[section]:
        return [unknown_key(f"{section}.{key}", [f"{section}.{name}" for name in KEYS[section]])]
    rule = KEYS[section][key].rule
    return [] if rule.holds(value) else [f"{section}.{key} is {short_json(value)}: must be {rule.text}"]


def unknown_key(name: str, valid: list[str]) -> str:
    """The sentence for a key that is not in the table, with the nearest valid name."""
    near = nearest_name(name, valid)
    return f"{name} is unknown: " + (f"did you mean {near}?" if near else f"must be one of {', '.join(valid)}")


def is_local(host: str) -> bool:
    """True for an address that only this machine reaches."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def key_problems(key: str | None, service: Service) -> list[str]:
    """A sentence for a key that no client can send in a header of HTTP."""
    good = key is None or re.fullmatch(r"[ -~]+", key)
    return [] if good else [f"{service.api_key} holds a key of other signs than ASCII's: write another one"]


def exposure_problems(server: dict[str, Any], service: Service, keyed: bool) -> list[str]:
    """A sentence for a server that listens beyond loopback with neither a key nor allow_unauthenticated."""
    if is_local(server["host"]) or server["allow_unauthenticated"] or keyed:
        return []
    return [
        f"server.host is {server['host']}: beyond loopback an API key is needed in {service.api_key} "
        f"(or server.allow_unauthenticated true, which lets anyone on the network in)"
    ]


def first_key(file: Path) -> str | None:
    """The first key of a key file; None without one: an empty file would switch llama-server's check off silently."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    return next((line for line in lines if line.strip() and not line.startswith("#")), None)


def with_defaults(config: Config, service: Service) -> Config:
    """Every key of the table: from `config`, or its default."""
    own = {("server", "port"): service.port, ("models", "path"): str(service.models)}
    return {
        section: {
            name: config.get(section, {}).get(name, own.get((section, name), key.default)) for name, key in keys.items()
        }
        for section, keys in KEYS.items()
    }


def load_config(service: Service, path: Path | None = None) -> Config:
    """What a config says, with defaults: the service's own one unless `path` names another file.

    Raises ConfigError with every problem.
    """
    path = path or service.config
    config = read_config(path)
    key = first_key(service.api_key)
    if found := config_problems(config, service, keyed=key is not None) + key_problems(key, service):
        raise ConfigError(f"{path}: " + "; ".join(found))
    return with_defaults(config, service)


def reaching_address(host: str) -> str:
    """The address at which this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def url_of(server: dict[str, Any]) -> str:
    """The URL at which this machine reaches the server; `server` is the section of the config."""
    return f"http://{host_port(reaching_address(server['host']), server['port'])}"


def host_port(host: str, port: int) -> str:
    """Both as they stand in a URL, where an IPv6 address has brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
