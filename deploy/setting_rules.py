"""The rules of settings that are text. A setting must obey its rule also while another keeps it from being used.

The settings that become config.json have their rules in deploy/onboard/server/config_keys.py.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.version import VERSION_PATTERN
from pydantic_core import PydanticCustomError

from deploy.errors import BoardllamaError, shown
from deploy.onboard.identity import rules
from deploy.onboard.server.config import is_local
from deploy.onboard.server.config_keys import KEYS
from deploy.onboard.server.value_rules import Rule, is_path
from deploy.onboard.spelling import nearest_name

# Bytes. On both sides files lie beside the model, named as the model and more, with NAME_MAX bytes at most.
LONGEST_MODEL_NAME = 200
LONGEST_LIST = 4000  # characters of server_clients: one line of the unit

HOST_PART = r"[!-&(-.0-~]"  # printable ASCII that is no quotation mark, no blank, no slash
REST = r"[!#-&(-~]*"
WEB_URL = rf"https?://{HOST_PART}+(/{REST})?"
URL = rf"{WEB_URL}|file:///{REST}"
GIT_URL = rf"{URL}|ssh://{HOST_PART}+/{REST}|git@{HOST_PART}+:{REST}|/{REST}"
CHANNEL = rf"(?=.{{1,200}}$)https?://{HOST_PART}+(/{REST})?"
REPORT_TO = rf"(?=.{{1,200}}$)(https?://{HOST_PART}+(/{REST})?|mqtt://{HOST_PART}+/[!-~]+)"
COMMIT = r"[0-9a-f]{40}"
SHA256 = r"[0-9a-f]{64}"
OWNER = r"\b[A-Za-z0-9_.-]{1,96}\b"
REPO = rf"(?!.*(?:--|\.\.)){OWNER}/{OWNER}(?<!\.git)"
REPO_FILE = r"(?!(?:.*/)?[A-Za-z]:)(?!.*/[-./])[^-./\\\0-\x1f\x7f][^\\\0-\x1f\x7f]*\.gguf"


def matches_whole(pattern: str, flags: int = 0) -> Callable[[str], bool]:
    """A test whether the pattern matches the whole of a text."""
    return lambda text: bool(re.fullmatch(pattern, text, flags))


def is_short_path(text: str) -> bool:
    """A path whose last name leaves room for the names that are made from it."""
    return is_path(text) and len(PurePosixPath(text).name.encode()) <= LONGEST_MODEL_NAME


def can_be_written(text: str) -> bool:
    """Whether the path is a file of this computer that can be written to, or could be made."""
    if not is_path(text):
        return False
    try:
        path = Path(text).expanduser()
        replaced = path.is_file() or not os.path.lexists(path)  # a device, or a pipe, would be a file from then on
        return replaced and path.parent.is_dir() and os.access(path.parent, os.W_OK)
    except (OSError, RuntimeError):  # nobody has that home
        return False


TUNED, FASTEST = "tuned", 10_000
# Of the speed that was tuned: a board that is warm, or works for others while its release is judged, is slower.
TUNED_SHARE = 0.7
SPEED_TEXT = f'a number from 0 to {FASTEST}, or "{TUNED}"'


def speed_floor(value: Any) -> float | str:
    """Tokens per second, or TUNED. Raises PydanticCustomError with the rule."""
    try:
        floor = value if value == TUNED else float(value)
        if floor == TUNED or 0 <= floor <= FASTEST:
            return floor
    except (TypeError, ValueError):
        pass
    raise PydanticCustomError("speed", SPEED_TEXT)


ADDRESS = Rule("an http(s) or file address without spaces or quotes", matches_whole(URL))
WEB_ADDRESS = Rule("an http(s) address without spaces or quotes", matches_whole(WEB_URL))
HASH = Rule("64 hexadecimal digits in lower case", matches_whole(SHA256))
FULL_COMMIT = Rule("a full commit of 40 hexadecimal digits: branches and tags move", matches_whole(COMMIT))
REPOSITORY = Rule("an http(s), ssh, file or git@ address, or a path, without spaces or quotes", matches_whole(GIT_URL))
VERSION = Rule("a version as 0.3.36 is (PEP 440)", matches_whole(VERSION_PATTERN, re.VERBOSE | re.IGNORECASE))
MODEL_PATH = Rule(f"a path of printable characters, the file's name at most {LONGEST_MODEL_NAME} bytes", is_short_path)

HEADER = r"[A-Za-z][A-Za-z0-9-]{0,60}"
HOST_NAME = r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?"


def is_ip(text: str) -> bool:
    """Whether the text is an address of IPv4 or IPv6, without a zone."""
    try:
        return "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False


PATH = Rule("a path of printable characters", is_path)
EMAIL = Rule("an email address, as someone@example.org", matches_whole(r"[!-+.-?A-~]+@[A-Za-z0-9.-]+"))
HOST = Rule("a host name or an address", lambda text: is_ip(text) or matches_whole(HOST_NAME)(text))
REPORT = Rule("a file in a folder of this computer that is there and can be written to", can_be_written)

RULES: dict[str, Rule] = {
    "llama_commit": FULL_COMMIT,
    "llama_pypi_version": VERSION,
    "llama_pypi_url": ADDRESS,
    "llama_pypi_sha256": HASH,
    "llama_git_url": REPOSITORY,
    "llama_archive_url": ADDRESS,
    "llama_archive_sha256": HASH,
    "llama_path": PATH,
    "warm_prompts": PATH,
    "tuned_model": Rule("the name of a file, without a path", lambda text: is_path(text) and "/" not in text),
    "model_repo": Rule("OWNER/NAME, without -- or .. or .git at the end, as hubs name them", matches_whole(REPO)),
    "model_file": Rule(
        f"a .gguf path inside the repository, its name at most {LONGEST_MODEL_NAME} bytes",
        lambda text: is_short_path(text) and bool(re.fullmatch(REPO_FILE, text)),
    ),
    "model_revision": FULL_COMMIT,
    "model_sha256": HASH,
    "model_path": MODEL_PATH,
    "site_cache": WEB_ADDRESS,
    "report_json": REPORT,
    "report_junit": REPORT,
    "channel_url": Rule("an address http://… or https://…, at most 200 characters", matches_whole(CHANNEL)),
    "channel_kind": Rule("the name of a group: letters, digits and _", matches_whole(r"[A-Za-z]\w{0,99}", re.ASCII)),
    "channel_report": Rule("an address http://…, https://… or mqtt://HOST/TOPIC", matches_whole(REPORT_TO)),
    "server_address": HOST,
    "gateway_host": Rule("an address", is_ip),
    "gateway_certificate": PATH,
    "gateway_acme_url": WEB_ADDRESS,
    "gateway_acme_ca": PATH,
    "gateway_acme_email": EMAIL,
    "gateway_address": Rule("an address", is_ip),
    "gateway_names": Rule(
        "host names and addresses, with spaces between them", lambda text: all(map(HOST.holds, text.split()))
    ),
    "gateway_clients": PATH,
    "gateway_session_header": Rule("the name of a header, such as X-Session-Id", matches_whole(HEADER)),
}


def setting_breaches(settings: Mapping[str, object]) -> Iterator[str]:
    """A sentence for each setting that breaks its rule. An empty setting breaks none: whoever needs it asks for it."""
    for name, rule in RULES.items():
        value = str(settings.get(name, ""))
        if value and not rule.holds(value):
            yield f"{name} is {shown(value)}: must be {rule.text}"


def check_distribution(distribution: str, site_cache: str) -> None:
    """Raises BoardllamaError for boards that shall get their models from a web server which nobody names."""
    if distribution == "site" and not site_cache:
        raise BoardllamaError(
            "distribution is 'site' and site_cache is '': must be the address below which a web server has models by "
            "their sha256; set site_cache, or distribution to 'peers'"
        )


def check_networks(text: str) -> None:
    """Raises BoardllamaError for a text of server_clients that is no list of addresses and networks."""
    if len(text) > LONGEST_LIST:
        raise BoardllamaError(f"server_clients is {shown(text)}: must be {LONGEST_LIST} characters at most")
    for network in text.split():
        try:
            ipaddress.ip_network(network if "%" not in network else "")
        except ValueError:
            raise BoardllamaError(
                f"server_clients holds {shown(network)}: must be an address, or a network such as "
                f"{nearest_network(network)}, with spaces between them"
            ) from None


def allowed_addresses(server_host: str, clients: list[str]) -> list[str]:
    """Who may reach a server that listens on `server_host`, for systemd's IPAddressAllow."""
    local = is_local(server_host)
    if not clients and not local:
        return ["any"]
    # The board itself asks by the address that it listens on: the gate, the watcher.
    own = [] if local or server_host in ("0.0.0.0", "::") else [server_host]
    return ["localhost", *own, *clients]


def nearest_network(text: str) -> str:
    """The network in which an address with a prefix length lies; an example of a network for any other text."""
    try:
        return str(ipaddress.ip_network(text, strict=False)) if "%" not in text else "fd00::/8"
    except ValueError:
        return "192.168.1.0/24"


def config_settings() -> dict[str, str]:
    """The keys of config.json, as section.key, and the setting that each is made from, or what the setting decides."""
    differs = {
        "models.path": "models_dir",
        "models.default_model": "model file",
        "server.allow_unauthenticated": "allow_unauthenticated",
    }
    prefixes = {"server": "server_", "logging": "log_"}
    found = {
        f"{section}.{key}": prefixes.get(section, "") + key.removeprefix("default_")
        for section, keys in KEYS.items()
        for key in keys
    }
    return found | differs


def as_setting_rule(text: str) -> str:
    """What is said of a value of config.json, said of the setting: JSON's null is Python's None."""
    return text.replace(", or null", ", or None")


def as_setting_line(line: str, key_file: Path) -> str:
    """The launcher's sentence, with the names of settings in place of keys of config.json."""
    for key, name in config_settings().items():
        line = line.replace(key, name)
    own = f'(setting api_key: your own, or "{rules.GENERATE}" for one per device)'
    return as_setting_rule(line.replace(f"in {key_file}", own))


# By the beginnings of pydantic's names for what is wrong with the kind of a value.
KINDS_OF_VALUE = {
    **{"list_": "a list", "tuple_": "a list", "dict_": "a table", "model_": "a table", "bool_": "True or False"},
    **{"int_": "a whole number", "float_": "a number", "string_": "a text"},
}


def unknown_setting(name: str, known: Collection[str]) -> str:
    """A sentence about a name that is no setting. `name`: of a list's entry with the places before it, "models.0.x"."""
    near = nearest_name(name.rpartition(".")[2], known)
    advice = f"did you mean {near}?" if near else "docs/reference/settings.md lists them all"
    return f"unknown setting {name if name.isidentifier() else shown(name)}: {advice}"


def problem_sentence(problem: Any, known: Collection[str]) -> str:
    """One of pydantic's errors as a sentence of ours: the setting, the rule, the way out. `known`: all settings."""
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return unknown_setting(name, known)
    if problem["type"] == "missing":
        return f"setting {name} is missing: an entry of a list needs it"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{name}: {message}" if name else message
    kind = next((kind for kind in KINDS_OF_VALUE if problem["type"].startswith(kind)), "")
    rule = KINDS_OF_VALUE[kind] if kind else message.removeprefix("Input should be ")
    return f"{name} must be {rule}" if name == "api_key" else f"{name} is {shown(problem['input'])}: must be {rule}"
