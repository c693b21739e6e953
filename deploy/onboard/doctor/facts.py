"""What the doctor looks at: collected once, each part for itself, with a deadline. What cannot be known is None."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ..commands import run_command
from ..explain import is_out_of_memory
from ..json_parts import parse_json
from ..places import PLACES, SWITCH_UNIT, Places
from ..release.release_table import release_rows
from ..release.releases import Release, current_release, services_of
from ..server.abilities import abilities_of
from ..server.companions import files_served
from ..server.config import ConfigError, first_key, load_config, url_of
from ..server.health import Health, State, ask_server, look_at_unit, unit_facts
from ..server.launch import find_model
from ..service import Service
from .hardware import HardwareFacts, read_hardware
from .looks import in_time, value_or_none, values_from
from .reach import answers_arp, answers_dns, default_gateway, name_servers, network_cards
from .sensors import board_model, has_memory_limits, memory_sizes, read_temperature, read_throttled
from .system import failed_units, is_active, is_clock_set, is_ssh_listening

DEADLINE = 10.0
UNIT_PROPERTIES = "LoadState,ActiveState,SubState,Result,ExecMainStatus,ExecMainPID,MemoryMax,MemoryCurrent,NRestarts"
SIGKILL = "9"  # as systemd gives the status of a process that ended by it


@dataclass(frozen=True)
class Interface:
    """A network card that is hardware. `addresses` have no prefix, and leave out IPv6 addresses of the link alone."""

    name: str
    wifi: bool
    carrier: bool
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileSystem:
    """The file system on which `folder` lies; sizes in bytes."""

    folder: str
    size: int
    free: int
    inodes: int
    inodes_free: int
    read_only: bool = False


@dataclass(frozen=True)
class ServiceFacts:
    """A service at one moment; None: not known here. Sizes in bytes.

    `name`: that of its unit. `models`: its folder of models. `unit`: what systemd says of the unit, by property.
    `words`: the last lines of the unit in the journal. `out_of_memory`: whether the kernel ended the service for want
    of memory; asked only while the service is down. `abilities`: what the model can, of a server that answers.
    `extra_arguments`: as config.json has them.
    """

    name: str
    models: str
    unit: dict[str, str] | None = None
    health: Health | None = None
    config_error: str = ""
    words: tuple[str, ...] = ()
    out_of_memory: bool | None = None
    model: str | None = None
    model_size: int | None = None
    abilities: tuple[str, ...] = ()
    extra_arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """A board at one moment; None: not known here. Memory and sizes in bytes, temperature in degrees Celsius.

    `throttled`: the word of `vcgencmd get_throttled`. `identity`: what was wrong with boardllama.txt. `memory_limits`:
    whether the kernel holds a service to its MemoryMax.
    """

    host: str
    board: str
    root: bool  # whether it was asked as root
    interfaces: tuple[Interface, ...] | None = None
    gateway: str | None = None
    gateway_answers: bool | None = None
    dns: tuple[str, ...] = ()
    dns_answers: bool | None = None
    systemd: bool = False  # whether it runs this machine
    services: tuple[ServiceFacts, ...] = ()
    memory_total: int | None = None
    memory_available: int | None = None
    memory_limits: bool | None = None
    temperature: float | None = None
    throttled: int | None = None
    disks: tuple[FileSystem, ...] = ()
    now: float = 0.0
    created: float | None = None
    synchronized: bool | None = None
    releases: tuple[tuple[str, str], ...] = ()  # id, state; the current one first
    switching: bool = False
    ssh: bool | None = None
    failed_units: tuple[str, ...] | None = None
    identity: tuple[str, ...] | None = None
    hardware: HardwareFacts = field(default_factory=HardwareFacts)


def collect_facts(places: Places = PLACES) -> Facts:
    """All that the doctor looks at on this board. Takes half a minute at most, also where every part hangs."""
    way, servers = value_or_none(default_gateway), value_or_none(name_servers) or ()
    total, available = value_or_none(memory_sizes) or (None, None)
    release = current_release(places)
    services = services_of(release)
    return Facts(
        host=os.uname().nodename,
        board=board_model(),
        root=os.geteuid() == 0,
        interfaces=value_or_none(lambda: tuple(Interface(*card) for card in network_cards())),
        gateway=way,
        gateway_answers=value_or_none(lambda: answers_arp(way)) if way else None,
        dns=servers,
        dns_answers=any(answers_dns(server) for server in servers[:3]) if servers else None,
        systemd=places.runtime_units.is_dir(),
        services=tuple(look_at_service(service, release) for service in services),
        memory_total=total,
        memory_available=available,
        memory_limits=value_or_none(has_memory_limits),
        temperature=value_or_none(read_temperature),
        throttled=value_or_none(read_throttled),
        disks=tuple(
            distinct_file_systems((Path("/"), *(service.models for service in services), places.root, Path("/run")))
        ),
        now=time.time(),
        created=value_or_none(lambda: creation_time(release)),
        synchronized=value_or_none(is_clock_set),
        releases=tuple((row["id"], row["state"]) for row in value_or_none(lambda: release_rows(places)) or ()),
        switching=value_or_none(lambda: is_active(SWITCH_UNIT)) or False,
        ssh=value_or_none(is_ssh_listening),
        failed_units=value_or_none(failed_units),
        identity=value_or_none(lambda: tuple(parse_json(places.applied.read_text())["problems"])),
        hardware=read_hardware(),
    )


def creation_time(release: Release | None) -> float:
    """When the release was made, in seconds since 1970. Raises LookupError, ValueError."""
    if release is None:
        raise LookupError("no release")
    return datetime.fromisoformat(release.stated("created")).timestamp()


def look_at_service(service: Service, release: Release | None) -> ServiceFacts:
    """The facts of a service; `release`: the committed one."""
    unit = value_or_none(lambda: unit_facts(service, UNIT_PROPERTIES, DEADLINE)) or None
    health, wrong = service_health(service, unit or {})
    model, size = value_or_none(lambda: in_time(lambda: model_served(service, release), DEADLINE)) or (None, None)
    return ServiceFacts(
        name=service.unit,
        models=str(service.models),
        unit=unit,
        health=health,
        config_error=wrong,
        words=() if is_ready(health) else value_or_none(lambda: words_of_boot(service)) or (),
        out_of_memory=value_or_none(lambda: is_ended_for_memory(unit or {})),
        model=model,
        model_size=size,
        abilities=value_or_none(lambda: abilities_now(service)) or () if is_ready(health) else (),
        extra_arguments=value_or_none(lambda: tuple(load_config(service)["inference"]["extra_arguments"])) or (),
    )


def is_ready(health: Health | None) -> bool:
    """Whether the server answers."""
    return health is not None and health.state is State.READY


def abilities_now(service: Service) -> tuple[str, ...]:
    """What the served model can. Raises ConfigError, OSError; LookupError when the server does not say it."""
    url = url_of(load_config(service)["server"])
    status, props = ask_server(url, "/props", deadline=DEADLINE, key=first_key(service.api_key))
    if status != 200:
        raise LookupError(f"/props answers {status}")
    return abilities_of(props, service.role)


def words_of_boot(service: Service) -> tuple[str, ...]:
    """The last two lines that the service itself wrote to the journal since the board started."""
    ours = ("--boot", "--unit", service.unit, "--identifier", service.name)
    said = run_command("journalctl", *ours, "--lines", "2", "--output", "cat", "--no-pager", deadline=DEADLINE)
    return tuple(line.strip() for line in said.splitlines() if line.strip())


def service_health(service: Service, unit: dict[str, str]) -> tuple[Health | None, str]:
    """The health of a service. None with what is wrong with its config, or with "" when it cannot be asked."""
    try:
        return look_at_unit(service, unit, url_of(load_config(service)["server"])), ""
    except ConfigError as error:
        return None, str(error)
    except (OSError, ValueError):
        return None, ""


def is_ended_for_memory(unit: dict[str, str]) -> bool:
    """Whether the kernel ended the service for want of memory.

    Without the memory cgroup systemd sees a signal alone, and the kernel's log tells. Raises LookupError when only root
    may read that log.
    """
    if (unit.get("Result"), unit.get("ExecMainStatus")) != ("signal", SIGKILL):
        return unit.get("Result") == "oom-kill"
    log = run_command("journalctl", "--boot", "--dmesg", "--output", "cat", "--no-pager", deadline=DEADLINE)
    if not log.strip():
        raise LookupError("no kernel log")
    return is_out_of_memory(unit.get("ExecMainPID", ""), log)


def model_served(service: Service, release: Release | None) -> tuple[str, int]:
    """Name and size in bytes of the model that a start of the service would serve; of a broker the names of all, and
    no size. Raises ConfigError, LookupError.
    """
    if release is None:
        raise LookupError("no release")
    if not service.has_model:
        return release.models, 0
    model = find_model(load_config(service)["models"], release, service)
    return model.name, sum(path.stat().st_size for _, path in files_served(release, service, model))


def distinct_file_systems(folders: Iterable[Path]) -> list[FileSystem]:
    """The file systems on which the folders lie, each once. A folder that cannot be read is left out."""
    found: dict[int, FileSystem] = {}
    for number, one in values_from(file_system_of, folders):
        found.setdefault(number, one)
    return list(found.values())


def file_system_of(folder: Path) -> tuple[int, FileSystem]:
    """The device number of the file system on which a folder lies, and its sizes. Raises OSError."""
    said, where = in_time(lambda: (os.statvfs(folder), folder.stat()), DEADLINE)
    sizes = (said.f_blocks * said.f_frsize, said.f_bavail * said.f_frsize, said.f_files, said.f_favail)
    return where.st_dev, FileSystem(str(folder), *sizes, bool(said.f_flag & os.ST_RDONLY))
