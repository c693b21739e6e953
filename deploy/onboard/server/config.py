"""config.json: the table of what llama-server may be told, and the rules that its values obey."""

import ipaddress
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from ..service import OLLAMA, Service
from ..spelling import nearest_name

LOG_LEVELS = {"error": 1, "warning": 2, "info": 3, "trace": 4, "debug": 5}
LOG_FORMATS = {"text": "--no-log-jsonl", "json": "--log-jsonl"}
# Bytes of a path, and of a name between two of its slashes: limits.h of Linux.
PATH_MAX, NAME_MAX = 4095, 255
Config = dict[str, dict[str, Any]]


class ConfigError(Exception):
    """The configuration cannot be used. The message says what was seen, where, and what to do."""


class Rule(NamedTuple):
    """What a value must be: `text` completes the sentence "must be …".

    `schema`: as much of the rule as JSON Schema can say.
    """

    text: str
    holds: Callable[[Any], bool]
    schema: Mapping[str, Any] = MappingProxyType({})


class Key(NamedTuple):
    """One key of config.json: its default, its rule, and the llama-server arguments that it becomes."""

    default: Any
    rule: Rule
    arguments: Callable[[Any], list[str]]


def whole_number(low: int, high: int, note: str = "") -> Rule:
    """The rule of a whole number from `low` to `high`; JSON's true and false are no numbers here."""
    text, schema = f"a whole number from {low} to {high}{note}", {"type": "integer", "minimum": low, "maximum": high}
    return Rule(text, lambda v: type(v) is int and low <= v <= high, schema)


def number_between(low: float, high: float) -> Rule:
    """The rule of a number from `low` to `high`."""
    text, schema = f"a number from {low:g} to {high:g}", {"type": "number", "minimum": low, "maximum": high}
    return Rule(text, lambda v: type(v) in (int, float) and low <= v <= high, schema)


def one_of(names: Any) -> Rule:
    """The rule of a word out of `names`."""
    return Rule("one of " + ", ".join(names), lambda v: isinstance(v, str) and v in names, {"enum": list(names)})


def is_address(value: Any) -> bool:
    """True for an IPv4 or IPv6 address in text form, and for localhost."""
    try:
        # A zone (fe80::1%eth0) may hold any text, and systemd's IPAddressAllow= takes none.
        zoned = not isinstance(value, str) or "%" in value
        return value == "localhost" or bool(ipaddress.ip_address("" if zoned else value))
    except ValueError:
        return False


def is_file_name(value: Any) -> bool:
    """True for the name of a GGUF file inside the models folder, and for null."""
    plain = isinstance(value, str) and value.endswith(".gguf") and "/" not in value and is_path(value)
    return value is None or (plain and not value.startswith("."))  # a rest of a transfer begins with a dot


def is_path(text: str) -> bool:
    """Whether Linux takes the text as a path, and a line of a log can show it."""
    if not text.isprintable():
        return False
    return len(text.encode()) <= PATH_MAX and all(len(name.encode()) <= NAME_MAX for name in text.split("/"))


def flag_value(name: str) -> Callable[[Any], list[str]]:
    """Arguments for a key that becomes the flag `name` and its value."""
    return lambda value: [name, str(value)]


def no_arguments(_value: Any) -> list[str]:
    """Arguments for a key that `server_command` reads together with others."""
    return []


ADDRESS = Rule("an IP address or localhost", is_address, {"type": "string"})
FOLDER = Rule(
    "an absolute folder",
    lambda v: isinstance(v, str) and v.startswith("/") and is_path(v),
    {"type": "string", "pattern": "^/"},
)
MODEL = Rule(
    "the name of a .gguf file in models.path, without a dot in front, or null for the only one there",
    is_file_name,
    {"type": ["string", "null"], "pattern": r"^[^./][^/]*\.gguf$"},
)
YES_NO = Rule("true or false", lambda v: isinstance(v, bool), {"type": "boolean"})
NO_GPU = Rule("0: this llama-server is built for the CPU alone", lambda v: type(v) is int and v == 0, {"const": 0})

KEYS: dict[str, dict[str, Key]] = {
    "server": {
        "host": Key("127.0.0.1", ADDRESS, flag_value("--host")),
        "port": Key(OLLAMA.port, whole_number(1, 65535), flag_value("--port")),
        "timeout": Key(300, whole_number(1, 86400, " seconds"), flag_value("--timeout")),
        "allow_unauthenticated": Key(False, YES_NO, no_arguments),
    },
    "models": {
        "path": Key(str(OLLAMA.models), FOLDER, no_arguments),
        "default_model": Key(None, MODEL, no_arguments),
        "default_context_size": Key(
            2048, whole_number(0, 1 << 24, " tokens (0: the model's own)"), flag_value("--ctx-size")
        ),
        "default_threads": Key(0, whole_number(0, 1024, " (0: one per fast core)"), no_arguments),
        "default_batch_threads": Key(0, whole_number(0, 1024, " (0: as many as default_threads)"), no_arguments),
    },
    "inference": {
        "gpu_layers": Key(0, NO_GPU, no_arguments),
        "repack": Key(True, YES_NO, lambda v: ["--repack" if v else "--no-repack"]),
        "batch_size": Key(512, whole_number(1, 1 << 16, " tokens"), flag_value("--batch-size")),
        "temperature": Key(0.8, number_between(0, 10), flag_value("--temp")),
        "top_p": Key(0.9, number_between(0, 1), flag_value("--top-p")),
        "top_k": Key(40, whole_number(0, 1 << 20, " (0: all)"), flag_value("--top-k")),
        "repeat_penalty": Key(1.1, number_between(0, 10), flag_value("--repeat-penalty")),
    },
    "logging": {
        "level": Key("info", one_of(LOG_LEVELS), lambda v: ["--log-verbosity", str(LOG_LEVELS[v])]),
        "format": Key("text", one_of(LOG_FORMATS), lambda v: [LOG_FORMATS[v]]),
    },
}


def read_config(path: Path) -> Any:
    """The file's JSON. Raises ConfigError, with line and column where the text is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}: line {error.lineno}, column {error.colno}: {error.msg}; JSON has no comments and no "
            f"trailing comma"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


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


def short_json(value: Any) -> str:
    """The value as JSON, short enough for a line."""
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:80]}… ({len(text)} characters)"


def unknown_key(name: str, valid: list[str]) -> str:
    """The sentence for a key that is not in the table, with the nearest valid name."""
    near = nearest_name(name, valid)
    return f"{name} is unknown: " + (f"did you mean {near}?" if near else f"must be one of {', '.join(valid)}")


def is_local(host: str) -> bool:
    """True for an address that only this machine reaches."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


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
        lines = file.read_text(encoding="utf-8").splitlines()
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
    found = config_problems(config, service, keyed=first_key(service.api_key) is not None)
    if found:
        raise ConfigError(f"{path}: " + "; ".join(found))
    return with_defaults(config, service)


def reaching_address(host: str) -> str:
    """The address at which this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def url_of(server: dict[str, Any]) -> str:
    """The URL at which this machine reaches the server; `server` is the section of the config."""
    host = reaching_address(server["host"])
    return f"http://[{host}]:{server['port']}" if ":" in host else f"http://{host}:{server['port']}"
