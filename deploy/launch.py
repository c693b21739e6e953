#!/usr/bin/python3 -IS
"""Starts llama-server as /etc/ollama-cpp/config.json says. Runs on the target at every start of the service.

Standard library only, Python 3.10 or newer, and one file, because it is installed as one. The controller imports
`problems` from here, so that settings and an operator's edits on the target obey one table. Exit status 78 (EX_CONFIG,
sysexits.h) means that a person has to mend the configuration; the unit does not restart on it.

    launch                 start llama-server
    launch --check FILE    say what is wrong with FILE, start nothing
    launch --print         print the command line, start nothing
"""

import difflib
import ipaddress
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

CONFIG = Path("/etc/ollama-cpp/config.json")
API_KEY = Path("/etc/ollama-cpp/api-key")
SERVER = "/usr/bin/llama-server"
EX_CONFIG = 78

LOG_LEVELS = {"error": 1, "warning": 2, "info": 3, "trace": 4, "debug": 5}
LOG_FORMATS = {"text": "--no-log-jsonl", "json": "--log-jsonl"}


class ConfigError(Exception):
    """The configuration cannot be used. The message says what was seen, where, and what to do."""


class Rule(NamedTuple):
    """What a value must be: `text` completes the sentence "must be …"."""

    text: str
    holds: Callable[[Any], bool]


class Key(NamedTuple):
    """One key of config.json: its default, its rule, and the llama-server arguments that it becomes."""

    default: Any
    rule: Rule
    arguments: Callable[[Any], list[str]]


def whole(low: int, high: int, note: str = "") -> Rule:
    """A whole number from `low` to `high`; JSON's true and false are not numbers here."""
    return Rule(f"a whole number from {low} to {high}{note}", lambda v: type(v) is int and low <= v <= high)


def number(low: float, high: float) -> Rule:
    """A number from `low` to `high`."""
    return Rule(f"a number from {low:g} to {high:g}", lambda v: type(v) in (int, float) and low <= v <= high)


def one_of(names: Any) -> Rule:
    """One of the given words."""
    return Rule("one of " + ", ".join(names), lambda v: isinstance(v, str) and v in names)


def is_address(value: Any) -> bool:
    """True for an IPv4 or IPv6 address in text form, and for localhost."""
    try:
        return value == "localhost" or bool(ipaddress.ip_address(value if isinstance(value, str) else ""))
    except ValueError:
        return False


def is_file_name(value: Any) -> bool:
    """True for the name of a GGUF file inside the models folder, and for null."""
    plain = isinstance(value, str) and value.endswith(".gguf") and "/" not in value and value.isprintable()
    return value is None or plain


def flag(name: str) -> Callable[[Any], list[str]]:
    """The value as the argument of `name`."""
    return lambda value: [name, str(value)]


def elsewhere(_value: Any) -> list[str]:
    """For a key that `command` reads together with others."""
    return []


ADDRESS = Rule("an IP address or localhost", is_address)
FOLDER = Rule("an absolute folder", lambda v: isinstance(v, str) and v.startswith("/") and v.isprintable())
MODEL = Rule("the name of a .gguf file in models.path, or null for the only one there", is_file_name)
YES_NO = Rule("true or false", lambda v: isinstance(v, bool))
NO_GPU = Rule("0: this llama-server is built for the CPU alone", lambda v: type(v) is int and v == 0)

KEYS: dict[str, dict[str, Key]] = {
    "server": {
        "host": Key("127.0.0.1", ADDRESS, flag("--host")),
        "port": Key(11434, whole(1, 65535), flag("--port")),
        "timeout": Key(300, whole(1, 86400, " seconds"), flag("--timeout")),
        "allow_unauthenticated": Key(False, YES_NO, elsewhere),
    },
    "models": {
        "path": Key("/var/lib/ollama/models", FOLDER, elsewhere),
        "default_model": Key(None, MODEL, elsewhere),
        "default_context_size": Key(2048, whole(0, 1 << 24, " tokens (0: the model's own)"), flag("--ctx-size")),
        "default_threads": Key(0, whole(0, 1024, " (0: one per physical core)"), elsewhere),
    },
    "inference": {
        "gpu_layers": Key(0, NO_GPU, elsewhere),
        "batch_size": Key(512, whole(1, 1 << 16, " tokens"), flag("--batch-size")),
        "temperature": Key(0.8, number(0, 10), flag("--temp")),
        "top_p": Key(0.9, number(0, 1), flag("--top-p")),
        "top_k": Key(40, whole(0, 1 << 20, " (0: all)"), flag("--top-k")),
        "repeat_penalty": Key(1.1, number(0, 10), flag("--repeat-penalty")),
    },
    "logging": {
        "level": Key("info", one_of(LOG_LEVELS), lambda v: ["--log-verbosity", str(LOG_LEVELS[v])]),
        "format": Key("text", one_of(LOG_FORMATS), lambda v: [LOG_FORMATS[v]]),
    },
}

# Always on, whatever the config says. The prompt cache of llama-server would otherwise take up to 8 GiB of a board's
# memory; --offline keeps a server that is told of a model by name from fetching it; and no web page from elsewhere may
# call the server through the browser of someone who reaches it.
FIXED = ["--metrics", "--cache-ram", "0", "--offline", "--cors-origins", "localhost"]


def read(path: Path) -> Any:
    """The parsed file. Raises ConfigError with line and column where it is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}: line {error.lineno}, column {error.colno}: {error.msg}; JSON has no comments and no "
            f"trailing comma"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


def problems(config: Any, keyed: bool) -> list[str]:
    """Every breach of the table, one sentence each; empty when llama-server can be started with `config`.

    `keyed` says whether the target has an API key.
    """
    if not isinstance(config, dict):
        return [f"the file holds {json.dumps(config)}: must be an object with {', '.join(KEYS)}"]
    found = []
    for section, values in config.items():
        if section not in KEYS:
            found.append(unknown(section, list(KEYS)))
        elif not isinstance(values, dict):
            found.append(f"{section} is {json.dumps(values)}: must be an object with {', '.join(KEYS[section])}")
        else:
            found += [breach for key, value in values.items() for breach in breaches(section, key, value)]
    return found or exposure(with_defaults(config)["server"], keyed)


def breaches(section: str, key: str, value: Any) -> list[str]:
    """What is wrong with one key, as zero or one sentence."""
    if key not in KEYS[section]:
        return [unknown(f"{section}.{key}", [f"{section}.{name}" for name in KEYS[section]])]
    rule = KEYS[section][key].rule
    return [] if rule.holds(value) else [f"{section}.{key} is {json.dumps(value)}: must be {rule.text}"]


def unknown(name: str, valid: list[str]) -> str:
    """The sentence for a key that is not in the table, with the nearest one that is."""
    near = difflib.get_close_matches(name, valid, n=1)
    return f"{name} is unknown: " + (f"did you mean {near[0]}?" if near else f"must be one of {', '.join(valid)}")


def exposure(server: dict[str, Any], keyed: bool) -> list[str]:
    """Refuses an open door: an address beyond loopback needs a key or the word that none is wanted."""
    local = server["host"] == "localhost" or ipaddress.ip_address(server["host"]).is_loopback
    if local or server["allow_unauthenticated"] or keyed:
        return []
    return [
        f"server.host is {server['host']}: beyond loopback an API key is needed in {API_KEY} "
        f"(or server.allow_unauthenticated true, which lets anyone on the network in)"
    ]


def has_key() -> bool:
    """True when the key file holds a key. One without any would switch llama-server's check off silently."""
    try:
        lines = API_KEY.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    return any(line.strip() and not line.startswith("#") for line in lines)


def with_defaults(config: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every key of the table: from `config`, or its default."""
    return {
        section: {name: config.get(section, {}).get(name, key.default) for name, key in keys.items()}
        for section, keys in KEYS.items()
    }


def find_model(models: dict[str, Any]) -> Path:
    """The GGUF file to serve. Raises ConfigError when there is none, or several and no choice, or it is no GGUF."""
    folder = Path(models["path"])
    there = sorted(path.name for path in folder.glob("*.gguf") if not path.name.startswith("."))
    chosen = models["default_model"]
    if chosen is None and len(there) != 1:
        advice = (
            "put one there and restart" if not there else f"set models.default_model in {CONFIG} to the one to serve"
        )
        raise ConfigError(f"{folder} holds {len(there) or 'no'} *.gguf ({', '.join(there) or 'nothing'}): {advice}")
    if chosen is not None and chosen not in there:
        raise ConfigError(f"models.default_model is {chosen}: {folder} holds {', '.join(there) or 'none'}")
    path = folder / (chosen or there[0])
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise ConfigError(f"{path} is no GGUF file: it begins with {magic!r}; fetch it again")
    return path


def physical_cores(cpus: Path = Path("/sys/devices/system/cpu")) -> int:
    """Cores, counting hardware threads of one core once: llama.cpp gains nothing from the second thread of a core."""
    siblings = {path.read_text() for path in cpus.glob("cpu[0-9]*/topology/thread_siblings_list")}
    return len(siblings) or os.cpu_count() or 1


def command(config: dict[str, dict[str, Any]]) -> list[str]:
    """llama-server's argument vector for a complete, valid `config`. Reads the models folder and the key file."""
    model = find_model(config["models"])
    arguments = [SERVER, "--model", str(model), "--alias", model.name]
    arguments += ["--threads", str(config["models"]["default_threads"] or physical_cores())]
    for section, keys in KEYS.items():
        for name, key in keys.items():
            arguments += key.arguments(config[section][name])
    if has_key():
        arguments += ["--api-key-file", str(API_KEY)]
    return arguments + FIXED


def configuration(path: Path = CONFIG) -> dict[str, dict[str, Any]]:
    """The file's settings with defaults. Raises ConfigError naming every problem."""
    config = read(path)
    found = problems(config, has_key())
    if found:
        raise ConfigError(f"{path}: " + "; ".join(found))
    return with_defaults(config)


def check_port(server: dict[str, Any]) -> None:
    """Says who is wrong when the port is taken; llama-server itself would only say that it could not bind."""
    family, kind, protocol, _, address = socket.getaddrinfo(server["host"], server["port"], type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on server.host {server['host']}, server.port {server['port']}: {error.strerror}; "
                f"`ss -ltnp` shows who does"
            ) from None


def record(folder: Path, model: Path) -> None:
    """Writes which files this server was started from, so that a deploy can tell whether they are still the ones there.

    One line each: inode, size, change time, path; `absent` for one that may appear. Equality is all that is asked of
    them, so no clock need be right.
    """
    unit = Path("/usr/lib/systemd/system/ollama-cpp-server.service")
    paths = (Path(SERVER), Path(__file__), CONFIG, unit, API_KEY, model)
    (folder / "started").write_text("".join(f"{identity(path)} {path}\n" for path in paths))


def identity(path: Path) -> str:
    """What a file that was written, replaced or moved since does not keep."""
    if not path.exists():
        return "absent 0 0"
    stat = path.stat()
    seconds, nanoseconds = divmod(stat.st_ctime_ns, 10**9)
    return f"{stat.st_ino} {stat.st_size} {seconds}.{nanoseconds:09d}"


def start(config: dict[str, dict[str, Any]]) -> NoReturn:
    """Becomes llama-server."""
    arguments = command(config)
    check_port(config["server"])
    if "RUNTIME_DIRECTORY" in os.environ:
        record(Path(os.environ["RUNTIME_DIRECTORY"]), Path(arguments[2]))
    # llama.cpp also reads LLAMA_ARG_* and a config.ini of the user: neither may change what config.json says.
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "XDG_CONFIG_HOME": "/nonexistent"}
    os.execve(arguments[0], arguments, environment)


def main(argv: list[str]) -> int:
    """The command line. Returns the exit status."""
    try:
        if argv[:1] == ["--check"] and len(argv) == 2:
            configuration(Path(argv[1]))
        elif argv == ["--print"]:
            print(" ".join(command(configuration())))
        elif not argv:
            start(configuration())
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except (ConfigError, OSError) as error:
        print(f"ollama-cpp-server: {error}", file=sys.stderr)
        return EX_CONFIG
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
