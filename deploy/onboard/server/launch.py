"""Becomes llama-server, as config.json says, with a watcher beside it that ends it when it hangs."""

import errno
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ..files import leads_into
from ..places import WARM
from ..release.releases import DamagedManifest, Release, own_release
from ..service import Service
from ..spelling import printable_text
from . import bounds
from .attempts import count_attempt
from .companions import companion_arguments
from .config import ConfigError, first_key, is_local, load_config, reaching_address
from .config_keys import Config, config_arguments
from .cores import share_out
from .extra_arguments import require_good_arguments
from .mounts import await_disk
from .role_arguments import role_arguments
from .start_record import SERVER, start_record

# One thread for each connection that LimitNOFILE= of the unit lets in. llama-server itself has eight, and makes more
# when it sees none idle: too late for clients that come all at once. Twenty clients with half a request each would keep
# the watcher from /health, and the watcher would end the server.
HTTP_THREADS = 64
# Always on, whatever the config says. --offline: no model is fetched by its name. --cors-origins: no web page from
# elsewhere calls the server through the browser of someone who reaches it.
FIXED = [*bounds.FLAGS, "--metrics", "--offline", "--cors-origins", "localhost", "--threads-http", str(HTTP_THREADS)]
# sysexits.h: a person has to mend the configuration. The unit does not restart on it.
EX_CONFIG = 78
# sysexits.h: to be tried again. The unit's next start asks systemd again to mount the disk that is not there.
EX_TEMPFAIL = 75


def service_started(release: Release) -> Service:
    """The service of the release that systemd starts, by its folder below /run. Started by hand: the first service."""
    runtime = os.environ.get("RUNTIME_DIRECTORY")
    return next((service for service in release.services if str(service.runtime) == runtime), release.services[0])


def usable_models(folder: Path, release: Release, service: Service) -> dict[str, Path]:
    """Models by file name: the one that the release brings, and those that an operator put into the folder.

    A name that leads through `current` is left out: it belongs to the current release, and goes with it.
    """
    found = {path.name: path for path in folder.glob("*.gguf") if not path.name.startswith(".") and path.is_file()}
    made = release.places.current / service.folder
    theirs = {name: path for name, path in found.items() if not leads_into(path, made)}
    return {**theirs, **{path.name: path for path in brought_models(folder, release, service)}}


def brought_models(folder: Path, release: Release, service: Service) -> list[Path]:
    """The model that the release brings, in the release, when `folder` is where its public name lies."""
    model = release.model(service)
    return [release.folder_of(service) / model] if model and folder == service.models else []


def find_model(models: dict[str, Any], release: Release, service: Service) -> Path:
    """The GGUF file to serve.

    Raises ConfigError without one, with several and no choice, or when llama-server would not serve it.
    """
    folder, chosen = Path(models["path"]), models["default_model"]
    there = usable_models(folder, release, service)
    names = ", ".join(sorted(map(printable_text, there)))
    if chosen is None and len(there) != 1:
        advice = "put one there and restart"
        if there:
            advice = f"set models.default_model in {service.config} to the one to serve"
        raise ConfigError(f"{folder} holds {len(there) or 'no'} *.gguf ({names or 'nothing'}): {advice}")
    if chosen is not None and chosen not in there:
        raise ConfigError(f"models.default_model is {chosen}: {folder} holds {names or 'none'}")
    path = there[chosen] if chosen else next(iter(there.values()))
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except PermissionError:
        raise ConfigError(f"{path} cannot be read by the service's account: `chmod a+r` it") from None
    if magic != b"GGUF":
        raise ConfigError(f"{path} is no GGUF file: it begins with {magic!r}; fetch it again")
    # What a release brings was judged before it came: its start need not wait for the rules.
    if path.parent != release.folder_of(service):
        from ..gguf.chat_models import require_usable_model

        require_usable_model(
            path, release.pin, service.role, lambda line: print(f"{service.name}: {line}", file=sys.stderr)
        )
    return path


def alias_of(name: str) -> str:
    """The model's name in the API: its file's, without commas, at which llama-server would split it into two names."""
    return name.replace(",", "_")


def model_paths(models: dict[str, Any], release: Release, service: Service) -> list[Path]:
    """The models folder, and what is to be read in it: each may be a link to another disk."""
    folder, chosen = Path(models["path"]), models["default_model"]
    brought = brought_models(folder, release, service)
    if chosen:
        return [folder, *([path for path in brought if path.name == chosen] or [folder / chosen])]
    return [folder, *brought, *folder.glob("*.gguf")]


def waiting_services(release: Release) -> list[Service]:
    """The services whose models the operator has yet to bring; also those without a model, when all servers wait."""
    servers = [service for service in release.services if service.has_model]
    brings = (service for service in servers if release.model(service) is None)
    waiting = [service for service in brings if not usable_models(service.models, release, service)]
    return list(release.services) if waiting == servers else waiting


def ready_services(release: Release) -> list[Service]:
    """The services that can be started: all but those that wait for a model."""
    waiting = waiting_services(release)
    return [service for service in release.services if service not in waiting]


def warm_prompts(release: Release, service: Service) -> list[Path]:
    """The prompts that the release has the server read at its start, in the order of their names."""
    return sorted(release.folder_of(service).glob(f"{WARM}/*.json"))


def server_command(config: Config, release: Release, service: Service) -> list[str]:
    """llama-server's argument vector for a complete, valid `config`. Reads the models folder and the key file."""
    model = find_model(config["models"], release, service)
    # A release starts its own files, never those at public names: what was judged is what runs.
    server, alias = str(release.places.public_bin / SERVER), config["models"]["alias"] or alias_of(model.name)
    arguments = [server, "--model", str(model.resolve()), "--alias", alias]
    work = share_out(config["models"])
    arguments += ["--threads", str(work.threads), "--threads-batch", str(work.batch_threads)]
    arguments += config_arguments(config)
    arguments += ["--api-key-file", str(service.api_key)] if first_key(service.api_key) else []
    arguments += [*FIXED, *companion_arguments(release, service, model)]
    return [*arguments, *role_arguments(service.role, config["models"]["default_context_size"], model)]


def start_command(config: Config, release: Release, service: Service) -> tuple[Path, list[str]]:
    """The program of a service, and its argument vector. Raises ConfigError."""
    if service.has_model:
        require_good_arguments(config, str(release.folder / SERVER))
        return release.folder / SERVER, server_command(config, release, service)
    from .brokers import broker_command  # few boards have one

    return Path(sys.executable), broker_command(config, release, service)


def require_free_port(service: Service, server: dict[str, Any], sleep: Callable[[float], None] = time.sleep) -> None:
    """Raises ConfigError with the cause when the port cannot be had: llama-server would only say that it could not
    bind.

    Waits for an address that is not there yet, as before DHCP has answered: the unit has the deadline.
    """
    told = False
    family, kind, protocol, _, address = socket.getaddrinfo(server["host"], server["port"], type=socket.SOCK_STREAM)[0]
    while True:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                return probe.bind(address)
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:
                    ports = "ports below 1024 are root's: take another"
                    advice = ports if error.errno == errno.EACCES else "`ss -ltnp` shows who does"
                    raise ConfigError(
                        f"cannot listen on server.host {server['host']}, server.port {server['port']}: "
                        f"{error.strerror}; {advice}"
                    ) from None
        if not told:
            print(f"{service.name}: waiting for the address {server['host']}: no interface has it", file=sys.stderr)
            told = True
        sleep(1)


def leave_word(folder: Path, models: dict[str, Any]) -> None:
    """Writes the server's cores and process for the unit's other programs, which also run while a disk is awaited."""
    # The sandbox has no sched_setaffinity: the unit reads this, and holds the server to it.
    (folder / "cores").write_text(",".join(map(str, sorted(share_out(models).cores))))
    (folder / "process").write_text(str(os.getpid()))
    (folder / "hung").unlink(missing_ok=True)


def become_server(release: Release, service: Service) -> NoReturn:
    """Becomes llama-server, or the program of a broker. Raises ConfigError and OSError when it cannot be started."""
    config = load_config(service, release.config(service))
    models, server = config["models"], config["server"]
    if "RUNTIME_DIRECTORY" in os.environ:
        leave_word(Path(os.environ["RUNTIME_DIRECTORY"]), models)
    if service.has_model and not await_disk(
        service, lambda: model_paths(models, release, service), lambda: find_model(models, release, service)
    ):
        sys.exit(EX_TEMPFAIL)
    program, arguments = start_command(config, release, service)
    require_free_port(service, server)
    if not is_local(server["host"]):
        print(f"{service.name}: on {server['host']}; IPAddressAllow= of the unit says who gets in", file=sys.stderr)
    if "RUNTIME_DIRECTORY" in os.environ:
        begin_watch(Path(os.environ["RUNTIME_DIRECTORY"]), server, release, service, arguments)
        if prompts := warm_prompts(release, service):
            from .warming import begin_warming  # its HTTP client takes a tenth of a second, and few starts need it

            begin_warming(release, service, config, prompts)
    # llama.cpp also reads LLAMA_ARG_* and a config.ini of the user: neither may change what config.json says.
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "XDG_CONFIG_HOME": "/nonexistent"}
    allocator = bounds.ENVIRONMENT if service.has_model else bounds.BROKER_ENVIRONMENT
    os.execve(program, arguments, environment | allocator)


def begin_watch(folder: Path, server: dict[str, Any], release: Release, service: Service, arguments: list[str]) -> None:
    """Notes in the service's runtime folder what is started, and starts its watcher. Raises ConfigError, OSError."""
    count_attempt(folder)
    aside = folder / "started.new"
    place = f"{reaching_address(server['host'])} {server['port']} {service.health_path}"
    aside.write_text(f"{place}\n{start_record(release, service, arguments)}")
    aside.replace(folder / service.started.name)
    server_process = str(os.getpid())
    if os.fork() == 0:
        watcher = str(release.folder / "onboard" / "watch.py")
        os.execv(sys.executable, [sys.executable, "-IS", watcher, "watch", server_process])


def run_launcher() -> int:
    """Becomes llama-server, or returns the exit status: EX_CONFIG when a person has to mend something."""
    release = own_release()
    try:
        service = service_started(release)
    except DamagedManifest as error:
        print(error, file=sys.stderr)
        return EX_CONFIG
    return launch_service(release, service)


def launch_service(release: Release, service: Service) -> int:
    """As `run_launcher`, for the service and the release that are given."""
    try:
        become_server(release, service)
    except ConfigError as error:
        print(f"{service.name}: {error}", file=sys.stderr)
        return EX_CONFIG
    except OSError as error:
        print(f"{service.name}: {error}", file=sys.stderr)
        return 1
