"""Becomes llama-server, as config.json says, with a watcher beside it that ends it when it hangs."""

import contextlib
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Any, NoReturn

from . import places
from .config import KEYS, Config, ConfigError, configuration, first_key, is_local, reach
from .releases import Release, own

# Always on, whatever the config says. The prompt cache of llama-server would otherwise take up to 8 GiB of a board's
# memory; --offline keeps a server that is told of a model by name from fetching it; and no web page from elsewhere may
# call the server through the browser of someone who reaches it.
FIXED = ["--metrics", "--cache-ram", "0", "--offline", "--cors-origins", "localhost"]
SERVER = Path("/usr/bin/llama-server")
# sysexits.h: a person has to mend the configuration. The unit does not restart on it.
EX_CONFIG = 78
SIOCGIFADDR = 0x8915


def find_model(models: dict[str, Any], release: Release) -> Path:
    """The GGUF file to serve. Raises ConfigError when there is none, or several and no choice, or it is no GGUF."""
    folder, chosen = Path(models["path"]), models["default_model"]
    there = sorted(path.name for path in folder.glob("*.gguf") if not path.name.startswith(".") and path.exists())
    if chosen is None and len(there) != 1:
        advice = "put one there and restart"
        if there:
            advice = f"set models.default_model in {places.CONFIG} to the one to serve"
        raise ConfigError(f"{folder} holds {len(there) or 'no'} *.gguf ({', '.join(there) or 'nothing'}): {advice}")
    path = folder / (chosen or there[0])
    if chosen and chosen == release.model:
        path = release.place(path)
    if not path.exists():
        raise ConfigError(f"models.default_model is {chosen}: {folder} holds {', '.join(there) or 'none'}")
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise ConfigError(f"{path} is no GGUF file: it begins with {magic!r}; fetch it again")
    return path


def physical_cores(cpus: Path = Path("/sys/devices/system/cpu")) -> int:
    """Cores, counting hardware threads of one core once: llama.cpp gains nothing from the second thread of a core."""
    siblings = {path.read_text() for path in cpus.glob("cpu[0-9]*/topology/thread_siblings_list")}
    return len(siblings) or os.cpu_count() or 1


def command(config: Config, release: Release) -> list[str]:
    """llama-server's argument vector for a complete, valid `config`. Reads the models folder and the key file."""
    model = find_model(config["models"], release)
    # The model's own path, not the public name: before and after the commit it is the same.
    arguments = [str(release.place(SERVER)), "--model", str(model.resolve()), "--alias", model.name]
    arguments += ["--threads", str(config["models"]["default_threads"] or physical_cores())]
    for section, keys in KEYS.items():
        for name, key in keys.items():
            arguments += key.arguments(config[section][name])
    if first_key():
        arguments += ["--api-key-file", str(places.API_KEY)]
    return arguments + FIXED


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


def check_clients(host: str) -> None:
    """Says so when the unit's IPAddressDeny would turn away whoever an edited config.json lets in.

    The filter applies to this process too: nothing gets out of it to the address that others would use.
    """
    for address in own_addresses() if host in ("0.0.0.0", "::") else [host]:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.sendto(b"", (address, 9))
            except PermissionError:
                raise ConfigError(
                    f"server.host is {host}, but the unit lets in nobody but this machine: deploy with "
                    f"server_host={host}, or `systemctl edit ollama-cpp-server`: [Service], IPAddressAllow=any"
                ) from None
            except OSError:
                continue  # not ours yet: the network is not up


def own_addresses() -> list[str]:
    """IPv4 addresses of this machine's interfaces other than the loopback (netdevice(7))."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Not if_nameindex(3): that asks by a netlink socket, which the sandbox does not have.
        for interface in Path("/sys/class/net").iterdir():
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(probe, SIOCGIFADDR, struct.pack("256s", interface.name.encode()))
                found.append(socket.inet_ntoa(answer[20:24]))
    return [address for address in found if not address.startswith("127.")]


def record(release: Release, name: Path, model: Path) -> str:
    """Which files this server is started from, so that a deploy can tell whether they are still the ones there.

    The release, then one line each: inode, size, change time, public name; `absent` for one that may appear. `name` is
    the public name of the model. Equality is all that is asked of them, so no clock need be right.
    """
    used = {path: release.place(path) for path in (SERVER, places.CONFIG, places.PUBLIC_UNIT)}
    used |= {places.API_KEY: places.API_KEY, name: model}
    return f"release {release.id}\n" + "".join(f"{identity(path)} {public}\n" for public, path in used.items())


def is_fresh() -> bool:
    """True when the running server was started from exactly the files that now have the public names."""
    try:
        _address, _release, *lines = places.STARTED.read_text().splitlines()
    except (OSError, ValueError):
        return False
    return all(line == f"{identity(path := Path(line.split(' ', 3)[3]))} {path}" for line in lines)


def identity(path: Path) -> str:
    """What a file that was written, replaced or moved since does not keep."""
    if not path.exists():
        return "absent 0 0"
    stat = path.stat()
    seconds, nanoseconds = divmod(stat.st_ctime_ns, 10**9)
    return f"{stat.st_ino} {stat.st_size} {seconds}.{nanoseconds:09d}"


def start(release: Release) -> NoReturn:
    """Becomes llama-server. Raises ConfigError and OSError when it cannot be started."""
    config = configuration(release.place(places.CONFIG))
    arguments = command(config, release)
    check_port(config["server"])
    if not is_local(config["server"]["host"]):
        check_clients(config["server"]["host"])
    if "RUNTIME_DIRECTORY" in os.environ:
        started = Path(os.environ["RUNTIME_DIRECTORY"]) / places.STARTED.name
        model, listens = Path(arguments[2]), config["server"]
        files = record(release, Path(config["models"]["path"]) / model.name, model)
        aside = started.with_suffix(".new")
        aside.write_text(f"{reach(listens['host'])} {listens['port']}\n{files}")
        aside.replace(started)
        if os.fork() == 0:
            watcher = str(release.folder / "onboard" / "watch.py")
            os.execv(sys.executable, [sys.executable, "-IS", watcher, "watch"])
    # llama.cpp also reads LLAMA_ARG_* and a config.ini of the user: neither may change what config.json says.
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "XDG_CONFIG_HOME": "/nonexistent"}
    program, arguments[0] = arguments[0], str(SERVER)
    os.execve(program, arguments, environment)


def main() -> int:
    """Becomes llama-server, or returns the exit status that tells systemd that a person is needed."""
    try:
        start(own())
    except (ConfigError, OSError) as error:
        print(f"ollama-cpp-server: {error}", file=sys.stderr)
    return EX_CONFIG
